"""Sight: which messages an agent is shown before it speaks."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Literal

from .message import Message, said_by

Sees = Literal["all", "last", "state", "predecessors", "summary", "everything"]
"""`all`: everything that was said to it. `last`: the last messages. `state`: what was done in earlier steps, and what
was said in this one. `predecessors`: the newest message of each agent that speaks to this one, of itself, and of the
world (DataLab, arXiv 2412.02205: a unit goes when its source sends a newer one). `summary`: a running summary and the
messages that are not in it yet, the last always. `everything`: all messages, whoever they are for, and what each agent
knows: the group chat in which everybody posts what it has."""


def visible(
    messages: Sequence[Message], me: str, sees: Sees, *, last: int, predecessors: Collection[str], step: int
) -> list[Message]:
    """Those of `messages` that the agent `me` is shown, in their order; a summary takes the place of the first."""
    if sees == "everything":
        return list(messages)
    heard = [message for message in messages if message.sender == me or me in message.to or message.act == "step"]
    if sees == "last":
        return heard[-last:]
    if sees == "state":
        return [message for message in heard if message.act == "step" or message.step == step]
    if sees == "predecessors":
        return _newest(heard, (*predecessors, me))
    return heard


def _newest(heard: Sequence[Message], sources: Collection[str]) -> list[Message]:
    """The newest message of each source and of the world; what they said before is out of date."""
    steps = [message for message in heard if message.act == "step"]
    newest = [said[-1].number for said in (*(said_by(heard, source) for source in sources), steps) if said]
    return [message for message in heard if message.number in newest]
