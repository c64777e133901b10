"""What a way of summing leaves out, in words with its figures."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Literal

from msgspec.structs import replace

from .call import Call
from .totals import Total

UNANSWERED = "calls that failed, were cut off or discarded"


def left_out(*groups: tuple[str, Sequence[Call]]) -> tuple[str, ...]:
    """A line for each group of calls, or parts of calls, that there is: how many, what they are, and their tokens."""
    lines = []
    for what, calls in groups:
        if calls:
            total = Total.of(calls)
            lines.append(f"{total.calls:,} {what}: {total.show('virtual_total')} tokens")
    return tuple(lines)


def one_figure(whole: Total, figure: Literal["prompt", "completion"], tokens: int) -> Total:
    """`whole` with `tokens` as its only tokens. The other figure counts as nothing; caches and dollars are not said."""
    unsaid = dict.fromkeys(("cache_read", "cache_write", "uncached", "cost"), whole.calls) if whole.calls else {}
    alone = replace(
        whole,
        prompt=0,
        completion=0,
        reasoning=whole.reasoning if figure == "completion" else 0,
        cache_read=0,
        cache_write=0,
        uncached=0,
        cost=Decimal(0),
        unknown=unsaid | {name: calls for name, calls in whole.unknown.items() if name == figure},
    )
    return replace(alone, **{figure: tokens})
