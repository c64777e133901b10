"""Votes: what the rounds said of one item, and who wins.

Weights are added as fractions, so that no order of rounds and no rounding decides an election.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import NamedTuple

WHOLE = 1
"""The most that one vote weighs."""


class Vote(NamedTuple):
    """What one round says of an item."""

    label: str
    weight: float = 1.0
    """Above 0, at most `WHOLE`."""
    sure: bool = True
    """Whether the model was confident, as far as it was asked or its logprobs tell."""


Votes = Iterable[Vote | None]
"""Votes of an item in the order of the rounds; None where a round said nothing that can be used: it abstained."""


def tally(votes: Votes) -> dict[str, Fraction]:
    """The weight of each label, in the order in which the labels were first named."""
    sums: dict[str, Fraction] = {}
    for vote in votes:
        if vote is not None:
            sums[vote.label] = sums.get(vote.label, Fraction(0)) + Fraction(vote.weight)
    return sums


def lead(votes: Votes) -> Fraction:
    """By how much the first is ahead of the second; 0 for a tie, and if nobody voted."""
    ordered = sorted(tally(votes).values(), reverse=True)
    return ordered[0] - (ordered[1] if len(ordered) > 1 else 0) if ordered else Fraction(0)


def favourite(votes: Votes) -> str | None:
    """The label with the most weight, of several the one that was named first; None if nobody voted."""
    sums = tally(votes)
    return max(sums, key=lambda label: sums[label]) if sums else None


def winner(votes: Votes) -> str | None:
    """The label with more weight than any other; None for a tie, and if nobody voted."""
    votes = list(votes)
    return favourite(votes) if lead(votes) > 0 else None
