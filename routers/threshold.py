"""Threshold: from which doubt on the large model is asked, fixed or such that it writes a wanted share."""

from __future__ import annotations

import math

from ..backends.doubt import Measure

STARTS: dict[Measure, float] = {"entropy": 0.45, "aleatoric": 2.275, "margin": 0.5, "random": 0.5, "neural": 0.5}
"""The first threshold of each measure: R2R's own (arXiv 2505.21600) for entropy and aleatoric uncertainty; a neural
router brings its own."""
STEPS: dict[Measure, float] = {"entropy": 0.2, "aleatoric": 0.2, "margin": 0.05, "random": 0.0, "neural": 0.05}
"""How far a threshold moves for a token that was asked of the large model."""


class Fixed:
    """One threshold for all tokens."""

    def __init__(self, above: float) -> None:
        self.above = above

    def kept(self, tokens: int) -> None:
        """So many tokens of the small model stand."""

    def replaced(self, tokens: int = 1) -> None:
        """So many tokens were asked of the large model."""


class Rolling:
    """The threshold that a given share of tokens is above, found while the answer is written.

    It rises with every token that is above it and falls with every one that is not, in the ratio of what is wanted
    (stochastic approximation of a quantile, after Robbins and Monro, 1951): whatever the doubts are, the share of the
    tokens so far differs from the wanted one by no more than (range of the doubts + a step) / (a step x tokens).
    """

    def __init__(self, share: float, measure: Measure, start: float) -> None:
        """`share`: more than 0 and less than 1. `start`: the first threshold."""
        self._share = share
        self._step = STEPS[measure]
        # What is drawn is evenly spread: the share is the threshold.
        self.above = 1 - share if measure == "random" else start

    def kept(self, tokens: int) -> None:
        """So many tokens of the small model stand."""
        self.above -= self._step * self._share * tokens

    def replaced(self, tokens: int = 1) -> None:
        """So many tokens were asked of the large model."""
        self.above += self._step * (1 - self._share) * tokens


def threshold(
    measure: Measure, above: float | None, share: float | None, start: float | None = None
) -> Fixed | Rolling:
    """The one that is meant; with neither `above` nor `share` it is `start`, or the measure's usual one."""
    start = STARTS[measure] if start is None else start
    if share is None:
        return Fixed(start if above is None else above)
    if share in (0, 1):
        return Fixed(-math.inf if share else math.inf)
    return Rolling(share, measure, start)
