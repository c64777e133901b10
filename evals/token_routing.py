"""How well doubts tell divergent tokens: a router of tokens beside measures that need no training, on the same tokens.

What is divergent is what the judge said that the labels come from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from ..backends.transformers.labels import DIVERGENT

if TYPE_CHECKING:
    from ..backends.transformers.labels import Labelled

RECALLS = (0.5, 0.8, 0.9, 0.95, 0.99)
"""For which of them a curve has a point."""


class Point(msgspec.Struct, frozen=True):
    """What a threshold comes to."""

    threshold: float
    share: float
    """Of all tokens, those above it: what the large model is asked."""
    recall: float
    """Of the divergent tokens, those above it."""
    precision: float
    """Of the tokens above it, those that are divergent."""


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """How well one measure of doubt tells divergent tokens."""

    name: str
    auc: float | None
    """Chance that a divergent token is more doubtful than another; None where all tokens are of one sort."""
    at_share: Point
    """At the threshold with the share of tokens above it that is compared at."""
    curve: tuple[Point, ...]
    """For each of the recalls in `RECALLS`, the highest threshold that reaches it."""


def judge_doubts(labelled: Labelled, doubts: Mapping[str, Any], share: float) -> list[Judged]:
    """Each measure's figures; `doubts` are numpy arrays by name, a value for each token."""
    divergent = labelled.label == DIVERGENT
    return [_judged(name, doubt, divergent, labelled.weight, share) for name, doubt in doubts.items()]


def untrained(labelled: Labelled) -> dict[str, Any]:
    """The doubts of the measures that need no training: `entropy` and `margin`, of the likeliest tokens."""
    import numpy as np

    logits = labelled.logits.astype(np.float64)
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    chances = weights / weights.sum(axis=1, keepdims=True)
    logs = np.log(np.maximum(chances, 1e-300))
    first, second = (np.exp(logits[:, place] - labelled.total) for place in (0, 1))
    return {"entropy": -(chances * logs).sum(axis=1), "margin": 1 - (first - second)}


def share_above(doubt: Any, labelled: Labelled, threshold: float) -> float:
    """The share of all tokens above a threshold."""
    return float(labelled.weight[doubt > threshold].sum() / labelled.weight.sum())


def points_table(judged: Sequence[Judged]) -> tuple[list[str], list[list[str]]]:
    """How well each measure does where the same share of tokens is above its threshold."""
    rows = [
        [
            of.name,
            "-" if of.auc is None else f"{of.auc:.3f}",
            f"{of.at_share.threshold:.4g}",
            f"{of.at_share.share:.1%}",
            f"{of.at_share.recall:.1%}",
            f"{of.at_share.precision:.1%}",
        ]
        for of in judged
    ]
    return ["measure", "AUC", "threshold", "share", "recall", "precision"], rows


def curves_table(judged: Sequence[Judged]) -> tuple[list[str], list[list[str]]]:
    """What share of the tokens must be above the threshold for each recall."""
    rows = [[of.name, *(f"{point.share:.1%}" for point in of.curve)] for of in judged]
    return ["share for a recall of", *(f"{recall:.0%}" for recall in RECALLS)], rows


def _judged(name: str, doubt: Any, divergent: Any, weight: Any, share: float) -> Judged:
    import numpy as np

    order = np.argsort(-doubt, kind="stable")
    values, hits, all_ = doubt[order], (weight * divergent)[order].cumsum(), weight[order].cumsum()
    last_of_its_value = np.append(values[1:] != values[:-1], True)
    values, hits, all_ = values[last_of_its_value], hits[last_of_its_value], all_[last_of_its_value]

    def point(place: int) -> Point:
        threshold = float(np.nextafter(np.float64(values[place]), -np.inf))
        share, recall = all_[place] / all_[-1], hits[place] / max(hits[-1], 1e-12)
        return Point(threshold, float(share), float(recall), float(hits[place] / all_[place]))

    at_share = min(int(np.searchsorted(all_, share * all_[-1] * (1 - 1e-9))), len(all_) - 1)
    places = [int(np.searchsorted(hits, recall * hits[-1] * (1 - 1e-9))) for recall in RECALLS]
    return Judged(name=name, auc=_auc(hits, all_), at_share=point(at_share), curve=tuple(map(point, places)))


def _auc(hits: Any, all_: Any) -> float | None:
    """Area under the curve of recall over the share of the other tokens; equals count for one half."""
    import numpy as np

    others = all_ - hits
    if hits[-1] <= 0 or others[-1] <= 0:
        return None
    recall, wrong = np.append(0.0, hits / hits[-1]), np.append(0.0, others / others[-1])
    return float(((recall[1:] + recall[:-1]) / 2 * np.diff(wrong)).sum())
