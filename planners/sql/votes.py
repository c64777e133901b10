"""Self-consistency by execution result (Wang et al. 2022, arXiv 2203.11171): queries with equal rows vote together.

A query that fails, or finds nothing, does not vote: wrong queries find nothing for many reasons. Of groups of one size
that which came first wins.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable

from ...tools.sql.table import Table
from .attempt import Attempt


class Votes:
    """The votes that are in, out of `most` that there may be."""

    def __init__(self, most: int) -> None:
        self._left = most
        self._groups: dict[Hashable, list[Attempt]] = {}

    def add(self, attempt: Attempt) -> None:
        """Count an attempt that was run."""
        self._left -= 1
        if attempt.table is not None and attempt.table.rows:
            self._groups.setdefault(_result(attempt.table), []).append(attempt)

    @property
    def needed(self) -> int:
        """How many more votes it takes at least until no other can change the winner; 0 if it is decided.

        So many can be asked for at once without one of them being asked in vain.
        """
        sizes = [len(group) for group in self._groups.values()] or [0]
        leader = sizes.index(max(sizes))
        # The group that came first wins a tie, so one that came before the leader is as good as one vote larger.
        rival = max(0, *(size + (place < leader) for place, size in enumerate(sizes) if place != leader), 0)
        return max(0, -(-(self._left + rival - sizes[leader]) // 2))

    @property
    def winner(self) -> Attempt | None:
        """The first query of the largest group; None if nothing that was run gave rows."""
        return max(self._groups.values(), key=len)[0] if self._groups else None


def _result(table: Table) -> Hashable:
    """Equal for tables with the same rows, in whatever order."""
    return frozenset(Counter(tuple(map(_value, row)) for row in table.rows).items())


def _value(value: object) -> Hashable:
    return round(value, 6) if isinstance(value, float) else str(value)
