"""Message: what one agent said, to whom, as what, and what it cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from ..orchestrator.shown import as_data

Act = Literal["inform", "propose", "agree", "object", "revise", "step"]
"""What a message does. `step`: what was done in a world and what came of it; the world says it, not an agent."""


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One message. All but `text` and `answer` is set by the engine and never read from the text.

    It is one of DataLab's information units (arXiv 2412.02205): source (`sender`), role (`act`), action (`answer`),
    content (`text`), time (`at`).
    """

    number: int
    """1, 2, ... in the conversation."""
    sender: str
    to: tuple[str, ...]
    """The agents that it is for."""
    act: Act = "inform"
    text: str
    """What is delivered: what the model wrote, in the form of the protocol."""
    answer: str | None = None
    """The answer, or the plan, that it proposes."""
    step: int = 1
    """The decision it belongs to: in a world every step needs one, otherwise there is one."""
    understood: bool = True
    """Whether it follows its protocol; if not, `text` is what the model wrote."""
    tokens: int | None = None
    """Tokens that were generated for what is delivered; None where the server did not say."""
    at: float = 0.0
    """Unix time, seconds."""
    known: frozenset[str] = frozenset()
    """Ids of the texts that stood in the prompt it answers, hence of earlier ones: all that it can refer others to."""
    withdrawn: bool = False
    """Whether its sender replaced it before anybody else spoke: no agent is shown it."""
    verdict: bool = False
    """Whether a single token said it: the text is the engine's own."""

    @property
    def id(self) -> str:
        """How it is referred to."""
        return f"M{self.number}"


def indented(text: str) -> str:
    """`text` as data that cannot pass for anything else: only its first line, which comes behind a label, is at the
    margin, whatever breaks it into lines; chat separators in it are words like any other.
    """
    return "\n  ".join(as_data(text).strip().splitlines())


def said_by(messages: Sequence[Message], name: str) -> list[Message]:
    """The messages of one agent."""
    return [message for message in messages if message.sender == name]
