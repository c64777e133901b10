"""Classifiers: the ways to learn which tier is the cheapest that is enough. All are scikit-learn's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ..errors import InputError
from .features import Features, Question, learn

if TYPE_CHECKING:
    from .temperature import Chances

Method = Literal["knn", "logistic", "boosting"]

NEIGHBOURS = 41
"""How many neighbours are asked, where there are so many: few give probabilities too coarse to choose between tiers."""


@dataclass(frozen=True)
class Classifier:
    """Features and the model over them. `model` is None where training knew one label only, `only`."""

    features: Features | None
    model: Any
    tiers: int
    only: int = 0

    def chances(self, items: Sequence[Question]) -> Chances:
        """The probability of each tier for each item, before calibration."""
        import numpy as np

        found = np.zeros((len(items), self.tiers))
        if self.features is None:
            found[:, self.only] = 1.0
        elif items:
            found[:, self.model.classes_] = self.model.predict_proba(self.features.rows(items))
        return found


def fit_classifier(
    items: Sequence[Question], labels: Sequence[int], *, tiers: int, method: Method, embeddings: str = ""
) -> Classifier:
    """Learn from items and the numbers of their tiers."""
    if len(set(labels)) == 1:
        return Classifier(None, None, tiers, labels[0])
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):  # at this size threads wait for each other longer than they work
        features = learn(items, embeddings=embeddings)
        model = _model(method, len(items)).fit(features.rows(items), list(labels))
    return Classifier(features, model, tiers)


def must_be_installed() -> None:
    """Raises InputError, saying what to install, where scikit-learn or skops is missing."""
    from importlib.util import find_spec

    missing = [name for name, module in (("scikit-learn", "sklearn"), ("skops", "skops")) if find_spec(module) is None]
    if missing:
        raise InputError(
            f"trained routers need {' and '.join(missing)}, not installed here: pip install 'laconic[routers]'"
        )


def _model(method: Method, items: int) -> Any:
    if method == "knn":
        from sklearn.neighbors import KNeighborsClassifier

        # Trees of neighbours do not pay at this size, and are no data that a router file may hold.
        return KNeighborsClassifier(min(NEIGHBOURS, max(1, items // 3)), weights="distance", algorithm="brute")
    if method == "logistic":
        from sklearn.linear_model import LogisticRegression

        return LogisticRegression(C=0.01, max_iter=2000)
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(
        max_iter=80, learning_rate=0.05, max_leaf_nodes=8, l2_regularization=1.0, early_stopping=False, random_state=0
    )
