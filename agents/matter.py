"""Matter: what a team is to decide. A question is one; so is a step in a world."""

from __future__ import annotations

from collections.abc import Sequence


class Matter:
    """A question: everybody is told the same, any answer stands, and everybody has a part in it."""

    def __init__(self, brief: str) -> None:
        self.brief = brief
        """What everybody is told."""
        self.answered = ""
        """What an answer to it looks like; told last, right before an agent speaks. Empty if any will do."""

    def view(self, name: str) -> str:
        """What only the agent `name` is told about it, now; empty if nothing."""
        return ""

    def complaint(self, decision: str) -> str:
        """Why a decision cannot stand, in words that whoever made it can use; empty if it can."""
        return ""

    def involved(self, decision: str, names: Sequence[str]) -> tuple[str, ...]:
        """The agents that have a part in a decision."""
        return tuple(names)
