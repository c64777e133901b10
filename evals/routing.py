"""Routing judged: fixed tiers, chance at the same cost, routers and the oracle on the same items, with intervals."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ..errors import InputError
from ..routers.outcomes import Outcome, groups_of, hash_of, tiers_of
from .figures import Measured
from .routing_curve import Point, area, call_share, ceiling, cost_share, curve
from .routing_metrics import Tep, recovered, tep
from .routing_policies import Policy, always, mixture, oracle, shuffled
from .routing_validation import Judged
from .statistics import percentile_interval, resampled_group_means, resampled_means

QUALITIES = (0.5, 0.8)
"""Shares of the gap for which the calls and tokens that recover them are given."""


class PolicyFigures(msgspec.Struct, frozen=True, kw_only=True):
    """One policy."""

    name: str
    accuracy: Measured
    tokens: Measured
    tep: Tep
    recovered: float | None
    """Performance gap recovered; None if there is no gap."""
    shares: dict[str, float]


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """A policy against another on the same items, paired: this one minus the other."""

    name: str
    other: str
    accuracy: Measured
    ratio: Measured | None
    """Tokens of this policy over those of the other; None if the other spends none."""


class CurveFigures(msgspec.Struct, frozen=True, kw_only=True):
    """One cost-quality curve."""

    name: str
    area: float
    calls: dict[str, float | None]
    """Share of the gap -> least share of calls to the dearest tier that recovers it."""
    costs: dict[str, float | None]
    """Share of the gap -> least share of the additional tokens that recovers it."""
    points: list[Point]


class Routing(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that was measured."""

    items: int
    groups: int
    tiers: tuple[str, ...]
    data_sha256: str
    clustered: bool
    """Whether intervals are over groups instead of items."""
    policies: list[PolicyFigures]
    """Fixed tiers, each router and the best of chance at its cost, and the oracle."""
    differences: list[Difference]
    curves: list[CurveFigures]
    """The oracle's, chance's best, and each router's; none where the dearest tier gains nothing."""


def measure(
    outcomes: Sequence[Outcome], routers: Sequence[Judged], others: Sequence[Policy] = (), *, clustered: bool = False
) -> Routing:
    """Hold routers, and what `others` made of the same items, against the fixed tiers, chance and the oracle.

    The weights of the random mixtures are those of all items, in every resample too.
    """
    tiers = tiers_of(outcomes)
    fixed = [always(tier, outcomes) for tier in tiers]
    routed = [made for router in routers for made in router.policies()]
    chance = {made.name: mixture(made, outcomes) for made in (*others, *routed)}
    dealt = {made.name: shuffled(made, outcomes) for made in routed}
    names = [made.name for made in (*fixed, *others, *routed)]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"two policies are called {twice!r}: give flows and router files names of their own")
    oracles = [oracle(outcomes, "cheapest"), oracle(outcomes, "dearest")]
    shown = [*fixed, *(one for made in (*others, *routed) for one in (made, chance[made.name])), *oracles]
    draws = _draw([*shown, *dealt.values()], groups_of(outcomes) if clustered else None)
    differences = [
        _difference(made, other, draws)
        for made in (*others, *routed)
        for other in (*fixed, *([dealt[made.name]] if made.name in dealt else ()), chance[made.name])
    ]
    return Routing(
        items=len(outcomes),
        groups=len({outcome.group for outcome in outcomes if outcome.group}),
        tiers=tiers,
        data_sha256=hash_of(outcomes),
        clustered=clustered,
        policies=[_figures(made, draws, fixed) for made in shown],
        differences=differences,
        curves=_curves(outcomes, routers, fixed),
    )


_Draws = dict[str, tuple[list[float], list[float]]]
"""Name of a policy -> its mean accuracy and tokens in each resample."""


def _draw(policies: Sequence[Policy], groups: Sequence[str] | None) -> _Draws:
    columns = [column for made in policies for column in (made.right, made.tokens)]
    means = resampled_means(columns) if groups is None else resampled_group_means(columns, groups)
    return {made.name: (means[2 * n], means[2 * n + 1]) for n, made in enumerate(policies)}


def _figures(made: Policy, draws: _Draws, fixed: Sequence[Policy]) -> PolicyFigures:
    right, tokens = draws[made.name]
    cheapest, dearest = fixed[0], fixed[-1]
    return PolicyFigures(
        name=made.name,
        accuracy=Measured(made.accuracy, percentile_interval(right)),
        tokens=Measured(made.cost, percentile_interval(tokens)),
        tep=tep(made.accuracy, made.cost, cheapest.accuracy, cheapest.cost),
        recovered=recovered(made.accuracy, cheapest.accuracy, dearest.accuracy),
        shares=made.shares,
    )


def _difference(made: Policy, other: Policy, draws: _Draws) -> Difference:
    (right, tokens), (its_right, its_tokens) = draws[made.name], draws[other.name]
    gains = [a - b for a, b in zip(right, its_right, strict=True)]
    ratio = None
    if all(its_tokens):
        ratios = [a / b for a, b in zip(tokens, its_tokens, strict=True)]
        ratio = Measured(made.cost / other.cost, percentile_interval(ratios))
    return Difference(
        name=made.name,
        other=other.name,
        accuracy=Measured(made.accuracy - other.accuracy, percentile_interval(gains)),
        ratio=ratio,
    )


def _curves(outcomes: Sequence[Outcome], routers: Sequence[Judged], fixed: Sequence[Policy]) -> list[CurveFigures]:
    if not curve(fixed, outcomes):
        return []
    mixes = [policy for policy in fixed[1:-1] if _worth_mixing(policy, outcomes)]
    found = [("oracle", ceiling(outcomes)), ("random", curve(mixes, outcomes))]
    found += [(router.name, curve(router.sweep(), outcomes)) for router in routers]
    return [
        CurveFigures(
            name=name,
            area=area(points),
            calls={f"{q:g}": call_share(points, q) for q in QUALITIES},
            costs={f"{q:g}": cost_share(points, q) for q in QUALITIES},
            points=points,
        )
        for name, points in found
    ]


def _worth_mixing(tier: Policy, outcomes: Sequence[Outcome]) -> bool:
    """Whether no mixture of the other tiers of the same cost is more often right."""
    return mixture(tier, outcomes).accuracy <= tier.accuracy + 1e-12
