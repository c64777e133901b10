"""What a way of summing leaves out, in words with its figures."""

from __future__ import annotations

from collections.abc import Sequence

from .call import Call, Status
from .totals import Total

ANSWERED: frozenset[Status] = frozenset({"ok", "replayed"})
"""The statuses of calls whose answers were used. Papers count no others."""
UNANSWERED = "calls that failed, were cut off or discarded"


def left_out(*groups: tuple[str, Sequence[Call]]) -> tuple[str, ...]:
    """A line for each group of calls, or parts of calls, that there is: how many, what they are, and their tokens."""
    lines = []
    for what, calls in groups:
        if calls:
            total = Total.of(calls)
            lines.append(f"{total.calls:,} {what}: {total.show('virtual_total')} tokens")
    return tuple(lines)
