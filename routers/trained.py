"""Trained routers: which tier is the cheapest that is enough, learned from outcomes, with calibrated probabilities.

The items are held out in turn, by group, and what the router says of items it has not seen gives its temperature
(`temperature`) and its levels of confidence (`confidence`); then it learns from all of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from ..errors import InputError
from . import features
from .classifiers import Classifier, Method, fit_classifier, must_be_installed
from .confidence import confidence_for
from .features import Kind, Question, check, kinds_of
from .outcomes import Outcome, Unsolved, cheapest_right, groups_of, hash_of, label_of, tiers_of
from .temperature import temperature_for, tempered

if TYPE_CHECKING:
    from .temperature import Chances

FORMAT = 1
"""Of a router file."""
FOLDS = 5
"""Into how many parts the training items are dealt to be held out in turn."""
RECOVER = (0.5, 0.8, 0.95)
"""Shares of what the dearest tier gains over the cheapest for which a level of confidence is kept."""


class Spread(msgspec.Struct, frozen=True):
    """Tokens that a tier used: the mean, and what nine of ten items stayed within."""

    mean: float
    p90: float


class About(msgspec.Struct, frozen=True, kw_only=True):
    """What a router is, and how it came to be: the head of its file."""

    format: int = FORMAT
    feature_set: int = features.VERSION
    tiers: tuple[str, ...]
    features: dict[str, Kind]
    """What it must be told of an item beside the text."""
    embeddings: str = ""
    method: Method
    unsolved: Unsolved
    """Where it was taught to send items that no tier solves."""
    tokens: dict[str, Spread]
    temperature: float
    confidences: dict[str, float]
    """Share of the gain of the dearest tier over the cheapest, such as `0.8` -> the `confidence` that keeps it."""
    labels: dict[str, int]
    """How many training items each tier was the cheapest for."""
    unsolved_items: int
    items: int
    groups: int
    data_sha256: str
    trained: str
    scikit_learn: str


@dataclass(frozen=True)
class TrainedRouter:
    """A router that was trained. It spends no tokens."""

    about: About
    classifier: Classifier

    def chances(self, items: Sequence[Question]) -> Chances:
        """For each item, for each tier, the probability that it is the cheapest that is enough.

        Raises InputError for an item that lacks a feature.
        """
        for _, given in items:
            check(given, self.about.features)
        known = [(text, {name: given[name] for name in self.about.features}) for text, given in items]
        return tempered(self.classifier.chances(known), self.about.temperature)


def train(
    outcomes: Sequence[Outcome],
    *,
    method: Method = "logistic",
    unsolved: Unsolved = "cheapest",
    embeddings: str = "",
    recover: Sequence[float] = RECOVER,
) -> TrainedRouter:
    """Learn from outcomes. Where all of them have one label the router always says that tier.

    Raises InputError for outcomes with different tiers or features, ModelFileError if embeddings cannot be had.
    """
    must_be_installed()
    from sklearn import __version__ as scikit_learn

    tiers = tiers_of(outcomes)
    items = questions(outcomes)
    kinds = kinds_of(items)
    labels = [label_of(outcome, unsolved) for outcome in outcomes]

    def fit(rows: Sequence[int]) -> Classifier:
        return fit_classifier(
            [items[row] for row in rows],
            [labels[row] for row in rows],
            tiers=len(tiers),
            method=method,
            embeddings=embeddings,
        )

    held_out = _held_out(items, calibration_groups(outcomes), len(tiers), fit)
    temperature = temperature_for(held_out, labels)
    calibrated = tempered(held_out, temperature)
    found = [cheapest_right(outcome) for outcome in outcomes]
    about = About(
        tiers=tiers,
        features=kinds,
        embeddings=embeddings,
        method=method,
        unsolved=unsolved,
        tokens={tier: _spread([outcome.tokens[tier] for outcome in outcomes]) for tier in tiers},
        temperature=temperature,
        confidences={f"{share:g}": confidence_for(calibrated, outcomes, share) for share in recover},
        labels={tier: found.count(number) for number, tier in enumerate(tiers)},
        unsolved_items=found.count(None),
        items=len(outcomes),
        groups=len({outcome.group for outcome in outcomes if outcome.group}),
        data_sha256=hash_of(outcomes),
        trained=time.strftime("%Y-%m-%d %H:%M %Z"),
        scikit_learn=scikit_learn,
    )
    return TrainedRouter(about, fit(range(len(items))))


def questions(outcomes: Sequence[Outcome]) -> list[Question]:
    """What a router may see of outcomes."""
    return [(outcome.text, outcome.features) for outcome in outcomes]


def calibration_groups(outcomes: Sequence[Outcome]) -> list[str]:
    """What is held out together in training: groups, or single items where there is but one group."""
    groups = groups_of(outcomes)
    return groups if len(set(groups)) > 1 else [outcome.id for outcome in outcomes]


def folds(groups: Sequence[str], most: int | None) -> Iterator[tuple[list[int], list[int]]]:
    """(rows to learn from, rows to judge) so that each row is judged once and no group is on both sides.

    `most` parts, dealt so that they are of like size; None for a part for each group. Raises InputError for one group.
    """
    sizes: dict[str, int] = {}
    for group in groups:
        sizes[group] = sizes.get(group, 0) + 1
    if len(sizes) < 2:
        raise InputError("a router is trained and judged on two groups of items at least; there is one")
    parts: list[tuple[int, set[str]]] = [(0, set()) for _ in range(min(most or len(sizes), len(sizes)))]
    for group in sorted(sizes, key=lambda name: -sizes[name]):
        smallest = min(range(len(parts)), key=lambda part: parts[part][0])
        size, names = parts[smallest]
        parts[smallest] = size + sizes[group], names | {group}
    for _, names in parts:
        inside = [row for row, group in enumerate(groups) if group in names]
        yield [row for row, group in enumerate(groups) if group not in names], inside


def _held_out(
    items: Sequence[Question], groups: Sequence[str], tiers: int, fit: Callable[[Sequence[int]], Classifier]
) -> Chances:
    import numpy as np

    found = np.zeros((len(items), tiers))
    for learned, judged in folds(groups, FOLDS):
        found[judged] = fit(learned).chances([items[row] for row in judged])
    return found


def _spread(tokens: Sequence[float]) -> Spread:
    ordered = sorted(tokens)
    return Spread(sum(ordered) / len(ordered), ordered[max(0, -(-9 * len(ordered) // 10) - 1)])
