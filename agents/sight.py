"""Sight: which messages an agent is shown before it speaks."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Literal

from .message import Message, said_by

Sees = Literal["all", "last", "predecessors", "state"]
"""`all`: everything that was said. `last`: the last messages. `predecessors`: the newest message of each agent that
speaks to this one, and its own. `state`: what was done in earlier steps, and what was said in this one."""


def visible(
    messages: Sequence[Message], me: str, sees: Sees, *, last: int, predecessors: Collection[str], step: int
) -> list[Message]:
    """Those of `messages` that the agent `me` is shown, in their order."""
    if sees == "last":
        return list(messages[-last:])
    if sees == "state":
        return [message for message in messages if message.act == "step" or message.step == step]
    if sees == "predecessors":
        newest = {said[-1].number for name in (*predecessors, me) if (said := said_by(messages, name))}
        return [message for message in messages if message.number in newest]
    return list(messages)
