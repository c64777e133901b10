"""Calibration: a temperature and a bias for each label that turn a model's probabilities into ones that can be trusted.

p(label) becomes proportional to p(label) ** (1 / temperature) * exp(bias[label]): temperature scaling (Guo et al. 2017,
arXiv 1706.04599) with the bias of contextual calibration (Zhao et al. 2021, arXiv 2102.09690).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import msgspec

from ..errors import FlowError, InputError
from ..orchestrator.verdict import LEAST, Verdict

FORMAT = 1
"""Version of the file."""
RIDGE = 1e-3
"""How strongly a fit is drawn to changing nothing: few items, or items that are told apart without error, leave it
finite."""


class Calibration(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What probabilities of these labels are corrected by."""

    bias: dict[str, float]
    """Natural logarithm of a factor, for each label."""
    temperature: float = 1.0
    """Above 1 makes less sure, below 1 surer."""
    format: int = FORMAT

    def apply(self, probabilities: Mapping[str, float]) -> dict[str, float]:
        """Corrected probabilities, which add up to 1."""
        scores = {
            label: math.log(max(chance, LEAST)) / self.temperature + self.bias[label]
            for label, chance in probabilities.items()
        }
        highest = max(scores.values())
        weights = {label: math.exp(score - highest) for label, score in scores.items()}
        total = sum(weights.values())
        return {label: weight / total for label, weight in weights.items()}

    def save(self, path: str | Path) -> None:
        """Write it to a JSON file."""
        Path(path).write_bytes(msgspec.json.format(msgspec.json.encode(self)) + b"\n")

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read it from a JSON file. Raises FlowError for one that is missing, no calibration, or of another version."""
        try:
            calibration = msgspec.json.decode(Path(path).read_bytes(), type=cls)
        except OSError as error:
            raise FlowError(f"the calibration {str(path)!r} cannot be read: {error.strerror}") from error
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise FlowError(f"{str(path)!r} is no calibration: {error}") from error
        if calibration.format != FORMAT:
            raise FlowError(
                f"the calibration {str(path)!r} is of format {calibration.format}, and this Laconic reads format "
                f"{FORMAT}: fit it again"
            )
        if not 0 < calibration.temperature < math.inf:
            raise FlowError(f"the calibration {str(path)!r} has the temperature {calibration.temperature}, not above 0")
        return calibration

    def check(self, labels: Sequence[str]) -> None:
        """Raises FlowError if it was fitted for other labels than these."""
        if set(self.bias) != set(labels):
            raise FlowError(f"the calibration was fitted for {', '.join(self.bias)}, not for {', '.join(labels)}")


def without_input(verdict: Verdict) -> Calibration:
    """The correction by what a model says when it is shown nothing: what it then favours is its own bias."""
    return Calibration(bias={label: -math.log(max(chance, LEAST)) for label, chance in verdict.probabilities.items()})


def fit_calibration(verdicts: Sequence[Verdict], labels: Sequence[str]) -> Calibration:
    """The calibration under which the right `labels`, one a verdict, are likeliest.

    Needs scipy, which comes with scikit-learn (`pip install laconic[routers]`). Raises InputError for labels that the
    verdicts do not have, and where fewer than two labels occur.
    """
    if len(verdicts) != len(labels):
        raise InputError(f"there are {len(verdicts):,} verdicts and {len(labels):,} labels: give one for each")
    if len(set(labels)) < 2:
        raise InputError("a calibration is fitted to items of at least two labels")
    options = list(verdicts[0].probabilities)
    for label in labels:
        if label not in options:
            raise InputError(f"the label {label!r} is none of those decided on: {', '.join(options)}")
    import numpy as np
    from scipy.optimize import minimize

    logs = np.log([[max(verdict.probabilities[option], LEAST) for option in options] for verdict in verdicts])
    right = np.array([options.index(label) for label in labels])
    rows = np.arange(len(right))

    def loss(parameters: np.ndarray) -> float:
        scale, bias = parameters[0], parameters[1:]
        scores = scale * logs + bias
        scores -= scores.max(axis=1, keepdims=True)
        wrong = np.log(np.exp(scores).sum(axis=1)) - scores[rows, right]
        return float(wrong.mean() + RIDGE * ((scale - 1) ** 2 + (bias**2).sum()))

    start = np.array([1.0, *(0.0 for _ in options)])
    found = minimize(loss, start, method="L-BFGS-B", bounds=[(0.01, 100.0), *((None, None) for _ in options)]).x
    bias = {option: float(value) for option, value in zip(options, found[1:], strict=True)}
    return Calibration(temperature=float(1 / found[0]), bias=bias)
