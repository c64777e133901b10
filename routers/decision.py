"""Decision: which tier is taken, given how likely each is to be enough and what is left of the budget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from ..accounting.budget import BudgetScope
from ..errors import BudgetExceeded, NodeError


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What was decided, and what it was decided on."""

    tier: str
    probabilities: dict[str, float]
    """For each tier, the probability that it is the cheapest that is enough; they add up to 1."""
    expected: dict[str, float]
    """Tokens a tier is expected to use, where that is known."""
    left: int | None
    """Tokens that were not spent when it was decided; None where nothing limits them."""

    def __str__(self) -> str:
        chances = ", ".join(f"{tier} {chance:.2f}" for tier, chance in self.probabilities.items())
        tokens = f"; about {self.expected[self.tier]:,.0f} tokens" if self.tier in self.expected else ""
        left = f" of {self.left:,} left" if tokens and self.left is not None else ""
        return f"{self.tier} ({chances}){tokens}{left}"


def decide(
    probabilities: Mapping[str, float],
    tiers: Sequence[str],
    *,
    confidence: float | None,
    expected: Mapping[str, float],
    budget: BudgetScope | None,
) -> Decision:
    """Choose among `tiers`, ordered from the cheapest to the dearest, those that fit in what is left of the budget.

    `confidence` None takes the likeliest tier, the cheaper of equals. Otherwise the cheapest tier of which at least
    that probability says that it, or a cheaper one, is enough; the dearest if none is so sure.
    Raises BudgetExceeded if none fits, and NodeError for probabilities that are none.
    """
    chances = distribution(probabilities, tiers)
    left = unspent(budget)
    fitting = [tier for tier in tiers if fits(tier, expected, left)]
    if not fitting:
        raise too_dear(tiers, expected, budget)
    tier = max(fitting, key=lambda t: chances[t]) if confidence is None else _sure(chances, fitting, confidence)
    return Decision(tier=tier, probabilities=chances, expected=dict(expected), left=left)


def unspent(budget: BudgetScope | None) -> int | None:
    """Tokens that are left if what calls under way have reserved turns out unused: for that the wall itself waits.

    None where nothing limits tokens. Calls, cost and seconds end at the wall, and not here.
    """
    scopes = () if budget is None else budget.limited
    return min((max(0, s.budget.tokens - s.spent_tokens) for s in scopes if s.budget.tokens is not None), default=None)


def fits(tier: str, expected: Mapping[str, float], left: int | None) -> bool:
    """Whether what a tier is expected to use is left; where either is not known, the budget's wall alone decides."""
    return left is None or tier not in expected or expected[tier] <= left


def distribution(probabilities: Mapping[str, float], tiers: Sequence[str]) -> dict[str, float]:
    """`probabilities` for each of the tiers, scaled to add up to 1. Raises NodeError where they cannot be."""
    strange = [tier for tier in probabilities if tier not in tiers]
    if strange:
        raise NodeError(f"the decider answered {strange[0]!r}, which is not one of the tiers {', '.join(tiers)}")
    chances = {tier: float(probabilities.get(tier, 0.0)) for tier in tiers}
    total = sum(chances.values())
    if not all(chance >= 0 for chance in chances.values()) or not 0 < total < float("inf"):
        raise NodeError(f"the decider's figures are no probabilities: {chances}")
    return {tier: chance / total for tier, chance in chances.items()}


def _sure(chances: Mapping[str, float], fitting: Sequence[str], confidence: float) -> str:
    enough = 0.0
    for tier, chance in chances.items():
        enough += chance
        # What adds up to 1 in decimals need not do so in binary.
        if tier in fitting and enough >= confidence - 1e-9:
            return tier
    return fitting[-1]


def too_dear(tiers: Sequence[str], expected: Mapping[str, float], budget: BudgetScope | None) -> BudgetExceeded:
    """The error where none of the tiers fits."""
    left = unspent(budget) or 0
    least = min(expected[tier] for tier in tiers)
    scope = budget.name if budget is not None else "the run"
    return BudgetExceeded(
        f"{left:,} tokens are left in the budget of {scope}, and the cheapest of the tiers {', '.join(tiers)} is "
        f"expected to use {least:,.0f}: none was started. Raise the budget, or state other `tokens` for the tiers",
        scope=scope,
        unit="tokens",
        limit=float(left),
        needed=float(least),
    )
