"""Race: which arm has the highest mean reward, found with as few items as it takes.

A bandit by successive elimination (Even-Dar, Mannor and Mansour 2006): every arm that is still in the race answers the
next item, and leaves when it is known to be worse than another. What is compared are the differences of two arms on the
same items: an item that is hard is hard for both, so that differences vary far less than rewards. Since one looks after
every item, the bound must hold at all times at once: it is the asymptotic confidence sequence of Waudby-Smith,
Arbour, Sinha, Kennedy and Ramdas (2021, arXiv 2103.06476). Hoeffding's and Bernstein's inequalities hold for any number
of items too, but need a range of the reward, and no development set of 50 items lets them drop anything.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

LEVEL = 0.05
"""The chance that the best arm is ever dropped, as far as the bound's large-sample theory holds."""
LEAST_ITEMS = 8
"""Before so many items nobody leaves: the bound takes the variance from the items."""
TIGHTEST = 25
"""Items at which the bound is tightest for its level."""
DOUBT = 0.5
"""Differences that are added to those seen, one up and one down, when their spread is taken: a few items that agree by
chance must not pass for certainty."""


class Race:
    """Arms and their rewards, item by item."""

    def __init__(self, arms: Sequence[str], *, level: float = LEVEL, least: int = LEAST_ITEMS) -> None:
        """`level`: the chance, over the whole race, that the best arm is dropped."""
        self.running = list(arms)
        """The arms still in the race, in their order."""
        self.out: dict[str, int] = {}
        """Arms that left -> after how many items."""
        self.rewards: dict[str, list[float]] = {arm: [] for arm in arms}
        self._alpha = level / max(1, len(arms) - 1)
        self._least = least

    @property
    def items(self) -> int:
        """How many items were answered."""
        return max(map(len, self.rewards.values()), default=0)

    @property
    def best(self) -> str:
        """The arm with the highest mean reward of those still in the race; of equals the first."""
        return max(self.running, key=self.mean)

    def mean(self, arm: str) -> float:
        """The mean reward of an arm; 0 before its first item."""
        given = self.rewards[arm]
        return sum(given) / len(given) if given else 0.0

    def add(self, rewards: Mapping[str, float]) -> list[str]:
        """Enter the rewards of one item, one for each arm still in the race; returns the arms that leave."""
        for arm in self.running:
            self.rewards[arm].append(rewards[arm])
        if self.items < self._least:
            return []
        best = self.best
        leaving = [arm for arm in self.running if arm != best and self._known_worse(arm, best)]
        for arm in leaving:
            self.running.remove(arm)
            self.out[arm] = self.items
        return leaving

    def _known_worse(self, arm: str, best: str) -> bool:
        differences = [high - low for high, low in zip(self.rewards[best], self.rewards[arm], strict=True)]
        return sum(differences) / len(differences) > half_width(differences, self._alpha)


def half_width(differences: Sequence[float], alpha: float) -> float:
    """How far the mean of `differences` may be above the true one, at any time, but with a chance of `alpha`."""
    n = len(differences)
    mean = sum(differences) / n
    variance = (sum((one - mean) ** 2 for one in differences) + 2 * DOUBT**2) / n
    wanted = -2 * math.log(2 * alpha)
    width = n * (wanted + math.log1p(wanted)) / TIGHTEST
    return math.sqrt(variance * 2 * (width + 1) / (n * width) * math.log(1 + math.sqrt(width + 1) / (2 * alpha)))
