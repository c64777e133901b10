"""Confidence: how sure a router must be that a tier is enough, chosen on items that were held out in training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .outcomes import Outcome

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .temperature import Chances

CLOSE = 1e-9
"""What adds up to 1 in decimals need not do so in binary."""


def taken(chances: Chances, confidence: float) -> list[int]:
    """For each item, the cheapest tier that is enough, or a cheaper one, with at least that probability; else the
    dearest. It is what `kind: route` does.
    """
    import numpy as np

    sure = np.cumsum(chances, axis=1) >= confidence - CLOSE
    sure[:, -1] = True
    return [int(number) for number in sure.argmax(axis=1)]


def candidates(chances: Chances, most: int = 100) -> list[float]:
    """At most about `most` levels of confidence that part the items differently, from 0 (all to the cheapest) to 1."""
    import numpy as np

    levels = np.unique(np.cumsum(chances, axis=1)[:, :-1])
    if len(levels) > most:
        levels = np.unique(np.quantile(levels, np.linspace(0, 1, most)))
    return [0.0, *map(float, levels), 1.0]


def confidence_for(chances: Chances, outcomes: Sequence[Outcome], recover: float) -> float:
    """The confidence with the fewest tokens that keeps `recover` (0 to 1) of what the dearest tier gains in accuracy
    over the cheapest; 1 if none keeps so much, 0 if the dearest gains nothing.
    """
    import numpy as np

    right: NDArray[np.float64] = np.array([list(outcome.right.values()) for outcome in outcomes])
    tokens: NDArray[np.float64] = np.array([[outcome.tokens[tier] for tier in outcome.right] for outcome in outcomes])
    cheapest, dearest = right[:, 0].mean(), right[:, -1].mean()
    if dearest <= cheapest:
        return 0.0
    rows = np.arange(len(outcomes))
    wanted = cheapest + recover * (dearest - cheapest)
    best: tuple[float, float] | None = None
    for level in candidates(chances):
        numbers = taken(chances, level)
        spent = float(tokens[rows, numbers].mean())
        if right[rows, numbers].mean() >= wanted - CLOSE and (best is None or spent < best[0]):
            best = spent, level
    return 1.0 if best is None else best[1]
