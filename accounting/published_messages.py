"""How two papers on what agents write to each other counted their tokens: the messages, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from .call import ANSWERED, Call
from .left_out import UNANSWERED, left_out, one_figure
from .totals import Total

if TYPE_CHECKING:
    from .prices import Price

_COUNTED = (
    "the tokens generated for the messages of agents, in calls that succeeded, as if no answer had been reused. No "
    "prompt is in it, although each sends again what was said before; and nothing but messages."
)
OPTIMA = f"As Optima (arXiv 2410.08115) counts: {_COUNTED}"
AUTOFORM = f"As AutoForm (arXiv 2402.18439) counts: {_COUNTED}"
_WORDS = {
    "repair": "repairs of messages",
    "feedback": "calls for feedback",
    "summary": "summaries",
    "format": "calls that chose a format",
}
"""Purposes in words; others stand by their name."""


def summed(calls: Sequence[Call], _prices: Mapping[str, Price] | None) -> tuple[Total, tuple[str, ...]]:
    """The total of the papers, and what it leaves out."""
    answered = [call for call in calls if call.status in ANSWERED]
    failed = [call for call in calls if call.status not in ANSWERED]
    messages = [call for call in answered if call.agent and call.purpose == "message"]
    others: dict[str, list[Call]] = {}
    for call in answered:
        if not (call.agent and call.purpose == "message"):
            what = _WORDS.get(call.purpose, f"calls with the purpose {call.purpose!r}")
            others.setdefault(what if call.agent else f"{what}, of no agent", []).append(call)
    whole = Total.of(messages, virtual=True)
    prompts = [f"{len(messages):,} prompts of messages: {whole.show('prompt')} tokens"] if messages else []
    return one_figure(whole, "completion", whole.completion), (
        *prompts,
        *left_out(*others.items(), (UNANSWERED, failed)),
    )
