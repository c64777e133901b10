"""How the BatchPrompt paper (arXiv 2309.00384) counted its tokens.

Its prompts begin with an instruction and examples, the same for all, which each round of a batch sends again. Its count
has them once a batch, and no answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from .call import ANSWERED, Call
from .left_out import UNANSWERED, left_out, one_figure
from .totals import Total

if TYPE_CHECKING:
    from .prices import Price

DESCRIPTION = (
    "As BatchPrompt (arXiv 2309.00384) counts: the prompts of calls that succeeded, as if no answer had been reused; "
    "the instruction with its examples once for all rounds of a batch, the items in every round; no generated token. "
    "Of caches and dollars it says nothing."
)


def summed(calls: Sequence[Call], _prices: Mapping[str, Price] | None) -> tuple[Total, tuple[str, ...]]:
    """The total of the paper, and what it leaves out."""
    answered = [call for call in calls if call.status in ANSWERED]
    failed = [call for call in calls if call.status not in ANSWERED]
    whole = Total.of(answered, virtual=True)
    again = instructions_sent_again(answered)
    lines = []
    if again:
        lines.append(f"{len(again):,} instructions that later calls of a batch sent again: {sum(again):,} tokens")
    if answered:
        lines.append(f"{len(answered):,} answers: {whole.show('completion')} tokens")
    lines += left_out((UNANSWERED, failed))
    uncounted = Total.of([call for call in answered if call.instruction is None], virtual=True)
    if uncounted.calls:
        lines.append(
            f"nothing of {uncounted.calls:,} prompts without a counted instruction, which are summed whole: "
            f"{uncounted.show('prompt')} tokens"
        )
    return one_figure(whole, "prompt", whole.prompt - sum(again)), tuple(lines)


def instructions_sent_again(calls: Sequence[Call]) -> list[int]:
    """The counted instruction of every call of a batch but its first, in tokens; no more than its prompt has."""
    begun: set[tuple[str, str, str]] = set()
    again: list[int] = []
    for call in calls:
        if call.instruction is None:
            continue
        batch = _batch(call)
        if batch in begun:
            usage = call.usage if call.avoided is None else call.avoided
            again.append(min(call.instruction, usage.prompt or 0))
        begun.add(batch)
    return again


def _batch(call: Call) -> tuple[str, str, str]:
    """What the rounds `.../batch-3/round-1`, `.../batch-3/round-2/half-1`, ... have in common."""
    return call.run, call.item, call.node.rpartition("/round-")[0] or call.node
