"""Cost-quality curves: accuracy over tokens as a router is told to be surer and surer.

Both axes run from the cheapest tier for everything (0) to the dearest (1): cost as the share of the additional tokens,
quality as the performance gap recovered. Between two points lies their mixture, which chance reaches, so that the curve
is a line and not steps. Random mixtures of the two tiers lie on the diagonal: area 0.5.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import msgspec

from ..routers.outcomes import Outcome
from .routing_metrics import recovered
from .routing_policies import Policy, always


class Point(msgspec.Struct, frozen=True):
    """One policy on the curve."""

    cost: float
    quality: float
    calls: float
    """Share of the items that the dearest tier answered."""


def curve(policies: Sequence[Policy], outcomes: Sequence[Outcome]) -> list[Point]:
    """The points of policies, by cost, with both ends. Empty where the dearest tier gains nothing over the cheapest,
    or costs no more: there is no curve between them.
    """
    tiers = tuple(outcomes[0].right)
    cheapest, dearest = always(tiers[0], outcomes), always(tiers[-1], outcomes)
    if dearest.accuracy <= cheapest.accuracy or dearest.cost <= cheapest.cost:
        return []
    points = [
        Point(
            (p.cost - cheapest.cost) / (dearest.cost - cheapest.cost),
            recovered(p.accuracy, cheapest.accuracy, dearest.accuracy) or 0.0,
            p.shares[tiers[-1]],
        )
        for p in (cheapest, *policies, dearest)
    ]
    return sorted(points, key=lambda point: (point.cost, point.quality))


def area(points: Sequence[Point]) -> float:
    """The area under the curve between the two ends (RouteLLM's average performance gap recovered)."""
    inside = [point for point in points if 0 <= point.cost <= 1]
    return sum((b.cost - a.cost) * (a.quality + b.quality) / 2 for a, b in pairwise(inside))


def call_share(points: Sequence[Point], quality: float) -> float | None:
    """The least share of calls to the dearest tier that recovers `quality` of the gap (RouteLLM's call-performance
    threshold), along the line from point to point; None if the curve never does.
    """
    return _least([(point.calls, point.quality) for point in points], quality)


def cost_share(points: Sequence[Point], quality: float) -> float | None:
    """The least share of the additional tokens that recovers `quality` of the gap; None if the curve never does."""
    return _least([(point.cost, point.quality) for point in points], quality)


def _least(points: Sequence[tuple[float, float]], quality: float) -> float | None:
    found = [x for x, y in points if y >= quality]
    for (x0, y0), (x1, y1) in pairwise(points):
        if min(y0, y1) < quality < max(y0, y1):
            found.append(x0 + (x1 - x0) * (quality - y0) / (y1 - y0))
    return min(found, default=None)


def ceiling(outcomes: Sequence[Outcome]) -> list[Point]:
    """The curve of whoever knows every outcome: from the cheapest tier up, the steps that gain most for a token first.

    Steps of one item are those of its own best curve, so that no order of them can lie higher. It ends at cost 1.
    """
    tiers = tuple(outcomes[0].right)
    cheapest, dearest = always(tiers[0], outcomes), always(tiers[-1], outcomes)
    gap, span = dearest.accuracy - cheapest.accuracy, dearest.cost - cheapest.cost
    if gap <= 0 or span <= 0:
        return []
    steps = sorted((step for outcome in outcomes for step in _steps(outcome)), key=lambda s: -s[1] / max(s[0], 1e-12))
    points, cost, quality = [Point(0.0, 0.0, 0.0)], 0.0, 0.0
    calls = 0
    for tokens, gain, to_dearest in steps:
        cost += tokens / len(outcomes) / span
        quality += gain / len(outcomes) / gap
        calls += to_dearest
        points.append(Point(cost, quality, calls / len(outcomes)))
    return [*points, Point(1.0, quality, calls / len(outcomes))] if cost < 1 else points


def _steps(outcome: Outcome) -> list[tuple[float, float, bool]]:
    """(tokens more, right more, whether to the dearest) of one item, each step the one that gains most for a token."""
    tiers = list(outcome.right)
    at = tiers[0]
    found: list[tuple[float, float, bool]] = []
    while True:
        ahead = [
            (outcome.tokens[t] - outcome.tokens[at], outcome.right[t] - outcome.right[at], t)
            for t in tiers[tiers.index(at) + 1 :]
            if outcome.right[t] > outcome.right[at]
        ]
        if not ahead:
            return found
        tokens, gain, at = max(ahead, key=lambda step: step[1] / max(step[0], 1e-12))
        found.append((max(tokens, 0.0), gain, at == tiers[-1]))
