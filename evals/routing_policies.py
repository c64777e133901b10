"""Policies: who answers each item, on outcomes that are known. What a router is held against, and the router itself.

A policy is a row of shares for each item, one share a tier, which add up to 1. A share between 0 and 1 is chance: its
accuracy and tokens are expectations, computed and not drawn.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ..routers.outcomes import Outcome, Unsolved, label_of

Shares = tuple[float, ...]


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """What a policy made of the items."""

    name: str
    right: tuple[float, ...]
    """For each item, how right the answer is, or is expected to be."""
    tokens: tuple[float, ...]
    """For each item, its tokens."""
    shares: dict[str, float]
    """For each tier, the share of all items that it answered; empty where more than one had a part in an answer."""

    @property
    def accuracy(self) -> float:
        """Mean of `right`."""
        return sum(self.right) / len(self.right)

    @property
    def cost(self) -> float:
        """Tokens an item, mean."""
        return sum(self.tokens) / len(self.tokens)


def policy(name: str, outcomes: Sequence[Outcome], shares: Sequence[Shares]) -> Policy:
    """What comes out if each item is answered by its tiers with those probabilities."""
    tiers = tuple(outcomes[0].right)
    pairs = list(zip(outcomes, shares, strict=True))
    return Policy(
        name=name,
        right=tuple(sum(s * o.right[t] for t, s in zip(tiers, row, strict=True)) for o, row in pairs),
        tokens=tuple(sum(s * o.tokens[t] for t, s in zip(tiers, row, strict=True)) for o, row in pairs),
        shares={tier: sum(row[number] for row in shares) / len(shares) for number, tier in enumerate(tiers)},
    )


def chosen(name: str, outcomes: Sequence[Outcome], numbers: Sequence[int]) -> Policy:
    """Each item to the tier of that number."""
    return policy(name, outcomes, [_all_to(number, len(outcomes[0].right)) for number in numbers])


def always(tier: str, outcomes: Sequence[Outcome]) -> Policy:
    """Every item to one tier."""
    number = tuple(outcomes[0].right).index(tier)
    return chosen(f"always {tier}", outcomes, [number] * len(outcomes))


def oracle(outcomes: Sequence[Outcome], unsolved: Unsolved) -> Policy:
    """The cheapest tier that is enough, as if it were known; what none solves goes where `unsolved` says."""
    name = f"oracle, unsolved to the {unsolved}"
    return chosen(name, outcomes, [label_of(outcome, unsolved) for outcome in outcomes])


def shuffled(other: Policy, outcomes: Sequence[Outcome]) -> Policy:
    """As many items to each tier as `other` gives it, but any items: the expectation over all ways to deal them."""
    row = tuple(other.shares.values())
    return policy(f"random with the shares of {other.name}", outcomes, [row] * len(outcomes))


def mixture(other: Policy, outcomes: Sequence[Outcome]) -> Policy:
    """The best that chance can do at the cost of `other`: the mixture of two fixed tiers of that mean cost (or below,
    where no mixture is better) whose accuracy is highest.
    """
    tiers = tuple(outcomes[0].right)
    fixed = [always(tier, outcomes) for tier in tiers]
    best = max(
        (row for row in _mixtures([f.cost for f in fixed], other.cost)),
        key=lambda row: sum(share * f.accuracy for share, f in zip(row, fixed, strict=True)),
    )
    return policy(f"random at the cost of {other.name}", outcomes, [best] * len(outcomes))


def _mixtures(costs: Sequence[float], cost: float) -> list[Shares]:
    """Every tier that costs no more than `cost`, and every mixture of two that costs just that; else the cheapest."""
    found = [_all_to(number, len(costs)) for number, its in enumerate(costs) if its <= cost + 1e-9]
    for low, its in enumerate(costs):
        for high, dearer in enumerate(costs):
            if its < cost < dearer:
                share = (cost - its) / (dearer - its)
                found.append(tuple(share if n == high else 1 - share if n == low else 0.0 for n in range(len(costs))))
    return found or [_all_to(min(range(len(costs)), key=costs.__getitem__), len(costs))]


def _all_to(number: int, tiers: int) -> Shares:
    return tuple(float(n == number) for n in range(tiers))
