"""Temperature: probabilities that mean what they say, by one figure found on items that were held out.

Follows Guo et al., "On Calibration of Modern Neural Networks" (2017): the logarithms of a model's probabilities are
divided by a temperature, which is the one under which the held-out labels are likeliest. It keeps the order of the
tiers, and one figure cannot overfit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Chances = NDArray[np.float64]
    """A row for each item and a column for each tier; rows add up to 1."""

FLOOR = 1e-4
"""The least probability that a tier has: no training set is so large that a tier can be ruled out."""


def tempered(chances: Chances, temperature: float) -> Chances:
    """The probabilities at that temperature: above 1 they move together, below 1 apart."""
    import numpy as np

    logs = np.log(np.maximum(chances, FLOOR)) / temperature
    powers = np.exp(logs - logs.max(axis=1, keepdims=True))
    scaled: Chances = np.maximum(powers / powers.sum(axis=1, keepdims=True), FLOOR)
    scaled /= scaled.sum(axis=1, keepdims=True)
    return scaled


def log_loss(chances: Chances, labels: Sequence[int]) -> float:
    """The mean surprise at what was right, in nats; lower is better."""
    import numpy as np

    return float(-np.log(chances[np.arange(len(labels)), list(labels)]).mean())


def temperature_for(chances: Chances, labels: Sequence[int]) -> float:
    """The temperature, from 0.05 to 20, under which `labels` are likeliest."""
    import numpy as np
    from scipy.optimize import minimize_scalar

    found = minimize_scalar(
        lambda log: log_loss(tempered(chances, float(np.exp(log))), labels), bounds=(-3.0, 3.0), method="bounded"
    )
    return float(np.exp(found.x))
