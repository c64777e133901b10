"""How much of single prompting's accuracy a way to ask keeps at least, as far as a sample can tell.

The difference of two accuracies on the same items, with half an item added to each of the four cells of both right, one
right, the other right, none right, and Wald's interval of the result (Agresti & Min 2005, "Simple improved confidence
intervals for comparing matched proportions"). Wald's own interval has no width where nothing disagrees: twenty items
without a disagreement would be certainty.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import NamedTuple

LEVEL = 0.9
"""One-sided: in about nine of ten samples the true accuracy is above the bound. In fewer, down to seven of ten near the
floor, where answers are only ever lost and hardly any is: a larger sample is then the remedy.
"""
Z = NormalDist().inv_cdf(LEVEL)


class Pairs(NamedTuple):
    """On how many items which of two ways to ask was right."""

    both: int
    single: int
    """Only single prompting."""
    other: int
    """Only the other way."""
    neither: int = 0

    @property
    def items(self) -> int:
        """All of them."""
        return sum(self)


def least_kept(pairs: Pairs) -> float:
    """The lower bound of the other way's accuracy, as a part of single prompting's; 0 if that was never right."""
    right = pairs.both + pairs.single
    if right == 0:
        return 0.0
    items = pairs.items + 2
    difference = (pairs.other - pairs.single) / items
    variance = (pairs.single + pairs.other + 1) / items**2 - difference**2 / items
    return max(0.0, 1 + (difference - Z * math.sqrt(variance)) * pairs.items / right)


def items_needed(floor: float, accuracy: float = 1.0) -> int:
    """The fewest items that can show `floor`, if no two answers disagree and single prompting is right that often."""
    return max(1, math.ceil(Z / ((1 - floor) * accuracy) - 2))
