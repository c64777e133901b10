"""How an item of a batch appears in a prompt: as data that can neither pose as another item nor end the turn."""

from __future__ import annotations

from ...orchestrator.shown import as_data


def entry(number: int, text: str) -> str:
    """One item of a batch. Its further lines are indented, so none can begin as another item does."""
    lines = as_data(text).splitlines() or [""]
    return "\n".join([f"Input {number}: {lines[0]}", *(f"  {line}" for line in lines[1:])])
