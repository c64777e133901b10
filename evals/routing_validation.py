"""Cross-validation: what a router says of items of groups it has not seen.

For each part of the items a router is trained on the others alone: its words, scales, temperature and levels of
confidence are all chosen there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ..routers.classifiers import Method
from ..routers.confidence import candidates, taken
from ..routers.outcomes import Outcome, Unsolved, groups_of
from ..routers.trained import RECOVER, TrainedRouter, folds, questions, train
from .routing_policies import Policy, chosen

PARTS = 10
"""Into how many parts the items are dealt where they have no groups."""


@dataclass
class Judged:
    """A router's answers to items that it was not trained on."""

    name: str
    outcomes: Sequence[Outcome]
    chances: list[list[float]]
    numbers: dict[str, list[int]] = field(default_factory=dict)
    """Share of the gap that was aimed at -> for each item, the number of the tier that was taken."""

    def policies(self) -> list[Policy]:
        """What the router did: the likeliest tier, and for each aim the one that is sure enough."""
        likeliest = [row.index(max(row)) for row in self.chances]
        return [chosen(f"{self.name}, likeliest", self.outcomes, likeliest)] + [
            chosen(f"{self.name} {float(aim):.0%}", self.outcomes, numbers) for aim, numbers in self.numbers.items()
        ]

    def sweep(self) -> list[Policy]:
        """What it would have done at any level of confidence, the same for all parts: the points of its curve."""
        import numpy as np

        chances = np.array(self.chances)
        return [chosen(f"{level:.4f}", self.outcomes, taken(chances, level)) for level in candidates(chances)]


def cross_validate(
    outcomes: Sequence[Outcome],
    *,
    method: Method,
    unsolved: Unsolved,
    embeddings: str = "",
    recover: Sequence[float] = RECOVER,
    on_part: Callable[[int, int], None] | None = None,
) -> Judged:
    """Judge a kind of router on every item, each group (or tenth of the items, without groups) by a router that was
    trained on the others. `on_part` is told how many parts are done, and of how many.

    Within a part's training items groups are held out in turn for calibration; where two groups are all there are,
    single items of the other one. Raises InputError for a single group.
    """
    grouped = any(outcome.group for outcome in outcomes)
    parts = list(folds(groups_of(outcomes), None if grouped else PARTS))
    judged = Judged(f"{method}, unsolved {unsolved}", outcomes, [[] for _ in outcomes])
    judged.numbers = {f"{share:g}": [0] * len(outcomes) for share in recover}
    for done, (learned, held_out) in enumerate(parts, start=1):
        router = train(
            [outcomes[row] for row in learned],
            method=method,
            unsolved=unsolved,
            embeddings=embeddings,
            recover=recover,
        )
        _judge(router, judged, held_out)
        if on_part is not None:
            on_part(done, len(parts))
    return judged


def judge(router: TrainedRouter, name: str, outcomes: Sequence[Outcome]) -> Judged:
    """A router as it is, on items that it should not have been trained on. Raises InputError if it lacks a feature."""
    judged = Judged(name, outcomes, [[] for _ in outcomes])
    judged.numbers = {aim: [0] * len(outcomes) for aim in router.about.confidences}
    _judge(router, judged, range(len(outcomes)))
    return judged


def _judge(router: TrainedRouter, judged: Judged, rows: Sequence[int]) -> None:
    chances = router.chances(questions([judged.outcomes[row] for row in rows]))
    for row, said in zip(rows, chances.tolist(), strict=True):
        judged.chances[row] = said
    for aim, confidence in router.about.confidences.items():
        for row, number in zip(rows, taken(chances, confidence), strict=True):
            judged.numbers[aim][row] = number
