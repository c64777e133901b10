"""95 % intervals: Wilson's for proportions, the percentile bootstrap for means, differences and ratios.

Nothing but the standard library. Every bootstrap is seeded: the same figures give the same interval.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from operator import itemgetter
from statistics import NormalDist
from typing import NamedTuple

RESAMPLES = 10_000
SEED = 20_230_523
LEVEL = 0.95


class Interval(NamedTuple):
    """Where the true value lies, with 95 % confidence."""

    low: float
    high: float


def wilson(successes: float, n: int, level: float = LEVEL) -> Interval:
    """Wilson's score interval of a proportion (1927): right for small n, and inside 0 to 1. (0, 1) for n = 0."""
    if n == 0:
        return Interval(0.0, 1.0)
    z = NormalDist().inv_cdf(0.5 + level / 2)
    share = successes / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return Interval(max(0.0, middle - half), min(1.0, middle + half))


def resampled_means(
    columns: Sequence[Sequence[float]], *, resamples: int = RESAMPLES, seed: int = SEED
) -> list[list[float]]:
    """For each column, its mean in each of `resamples` draws of as many rows, with replacement.

    All columns share the rows drawn, so that means of different columns of one draw may be compared: what is measured
    on the same items stays paired.
    """
    n = len(columns[0]) if columns else 0
    if any(len(column) != n for column in columns):
        raise ValueError("the columns of a bootstrap must be of one length: they are measured on the same items")
    if n == 0:
        return [[] for _ in columns]
    if n == 1:
        return [[float(column[0])] * resamples for column in columns]
    draw = random.Random(seed)
    rows = range(n)
    means: list[list[float]] = [[] for _ in columns]
    for _ in range(resamples):
        pick = itemgetter(*draw.choices(rows, k=n))
        for column, out in zip(columns, means, strict=True):
            out.append(sum(pick(column)) / n)
    return means


def resampled_group_means(
    columns: Sequence[Sequence[float]], groups: Sequence[str], *, resamples: int = RESAMPLES, seed: int = SEED
) -> list[list[float]]:
    """Like `resampled_means`, but whole groups of rows are drawn: for items that are alike within their group.

    With few groups (fewer than twenty or so) such intervals are too narrow, though wider than those over rows.
    """
    names = list(dict.fromkeys(groups))
    place = {name: number for number, name in enumerate(names)}
    sizes = [0] * len(names)
    sums = [[0.0] * len(names) for _ in columns]
    for row, group in enumerate(groups):
        sizes[place[group]] += 1
        for column, of_column in zip(columns, sums, strict=True):
            of_column[place[group]] += column[row]
    draw = random.Random(seed)
    means: list[list[float]] = [[] for _ in columns]
    for _ in range(resamples):
        drawn = draw.choices(range(len(names)), k=len(names))
        n = sum(sizes[i] for i in drawn)
        for of_column, out in zip(sums, means, strict=True):
            out.append(sum(of_column[i] for i in drawn) / n)
    return means


def percentile_interval(values: Sequence[float], level: float = LEVEL) -> Interval:
    """The middle `level` of `values`, with linear interpolation between order statistics. Raises for no values."""
    if not values:
        raise ValueError("an interval needs values")
    ordered = sorted(values)
    return Interval(_quantile(ordered, (1 - level) / 2), _quantile(ordered, (1 + level) / 2))


def bootstrap(values: Sequence[float], *, resamples: int = RESAMPLES, seed: int = SEED) -> Interval:
    """Percentile bootstrap of a mean. For a paired difference, pass the differences item by item."""
    return percentile_interval(resampled_means([values], resamples=resamples, seed=seed)[0])


def _quantile(ordered: Sequence[float], share: float) -> float:
    place = share * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)
