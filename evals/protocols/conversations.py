"""Conversations: one arm talks about one item, and what came of it is written down."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from ...accounting.call import ANSWERED, Call
from ...accounting.totals import Total
from ...agents import Message, Spoken
from ...orchestrator import Runtime
from ..answering import unserved
from ..data import Item
from ..scoring import Scorer, Scores
from .arms import Arm


class Said(msgspec.Struct, frozen=True):
    """A message, and which request of the store it was the answer to."""

    message: Message
    request: str = ""
    """Key in the store; empty if it cannot be told."""


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """One conversation. Tokens are those of all its calls, as if no answer had been reused."""

    arm: str
    item: str
    number: int
    """1, 2, ... of those that the arm holds about the item."""
    status: Literal["ok", "failed", "budget", "unserved"] = "ok"
    """`unserved`: the server did not answer, which says nothing of the arm."""
    answer: str = ""
    exact: float = 0.0
    partial: float = 0.0
    """What the answer is worth, 0 to 1, where half an answer has a worth; else the same as `exact`."""
    tokens: int = 0
    unknown: bool = False
    """Whether `tokens` is a lower bound, because a server did not say."""
    message_tokens: int = 0
    """Tokens of the messages alone, as far as servers said; there are some where nobody came to an answer too."""
    said: tuple[Said, ...] = ()
    """The messages, if there is an answer."""
    ended: str = ""
    error: str = ""


async def hold(arm: Arm, item: Item, number: int, runtime: Runtime, scorer: Scorer) -> Held:
    """Let an arm talk about an item. What fails is a conversation too, worth nothing; its tokens count."""
    name = item.id if len(arm.asked) == 1 else f"{item.id}/{number}"
    result = await arm.asked[number - 1].run(
        arm.contestant.inputs(item), runtime=runtime, run_id=arm.contestant.run, item=name
    )
    spoken = result.values.get(arm.team)
    calls = result.ledger.calls
    total = Total.of(calls, virtual=True)
    answer = str(result.outputs.get(arm.contestant.output) or "")
    scores = await scorer.scores(item, answer) if result.status == "ok" else Scores(0.0, 0.0)
    return Held(
        arm=arm.name,
        item=item.id,
        number=number,
        status="unserved" if unserved(result.error) or _broken_off(spoken, calls) else result.status,
        answer=answer,
        exact=scores.exact,
        partial=scores.partial,
        tokens=total.total,
        unknown=total.at_least("prompt") or total.at_least("completion"),
        message_tokens=result.ledger.view("published:optima").total.completion,
        said=_said(spoken, arm.team, calls) if isinstance(spoken, Spoken) else (),
        ended=spoken.ended if isinstance(spoken, Spoken) else "",
        error="" if result.error is None else str(result.error),
    )


def _broken_off(spoken: Any, calls: Sequence[Call]) -> bool:
    """Whether the answer is only what there was when the server failed."""
    return isinstance(spoken, Spoken) and spoken.ended == "failed" and calls[-1].status in ("failed", "timeout")


def _said(spoken: Spoken, team: str, calls: Sequence[Call]) -> tuple[Said, ...]:
    """What agents said, each with the last request before a repair: with what tools gave, without the complaint.

    A verdict has none: its words are the engine's.
    """
    asked = {
        (call.node, call.agent): call.request_hash
        for call in calls
        if call.purpose == "message" and call.status in ANSWERED
    }
    return tuple(
        Said(
            message,
            "" if message.verdict else asked.get((f"{team}/{message.number}-{message.sender}", message.sender), ""),
        )
        for message in spoken.messages
        if message.act != "step"
    )
