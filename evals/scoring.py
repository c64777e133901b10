"""Scoring: how a comparison judges an answer. Text is the default; `sql_scorer.py` judges queries."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar, NamedTuple

import msgspec

from ..orchestrator.agreement import as_number, last_number, same_number
from ..orchestrator.answer import short_answer
from .data import Item, as_answer, gold_answers, lacks
from .metrics import best_scores


class Measure(msgspec.Struct, frozen=True, kw_only=True):
    """What is measured, in the words of a report."""

    name: str
    """As `--score` and the rows call it."""
    exact: str
    partial: str = ""
    """What half a right answer is measured by; empty where there is no such thing."""
    right: str
    """What an answer is that gets a full score."""
    method: str
    """A sentence or two on how it is computed."""


TEXT = Measure(
    name="text",
    exact="exact match",
    partial="F1",
    right="exact answer",
    method="Exact match and F1 are those of SQuAD and HotpotQA, against the best of an item's gold answers.",
)
SQL_SPIDER = Measure(
    name="sql-spider",
    exact="execution accuracy",
    right="right query",
    method="Execution accuracy is that of Spider's script: the answer and the gold query, both without DISTINCT, give "
    "the same rows, each as often, whatever the order of columns; in the same order where the gold says ORDER BY.",
)
SQL_BIRD = Measure(
    name="sql-bird",
    exact="execution accuracy",
    right="right query",
    method="Execution accuracy is that of BIRD's script: the answer and the gold query give the same set of rows.",
)
LABEL = Measure(
    name="label",
    exact="accuracy",
    right="right label",
    method="An answer is right if it is the item's label, whatever the case; none counts as wrong.",
)
NUMBER = Measure(
    name="number",
    exact="accuracy",
    right="right number",
    method="An answer is right if the number that it ends with is the item's, whatever its sign of money, thousands "
    "marks or percent sign: the last one behind its last `Answer:` or in its last line, or else the last of all.",
)
MEASURES = {measure.name: measure for measure in (TEXT, LABEL, NUMBER, SQL_SPIDER, SQL_BIRD)}


class Scores(NamedTuple):
    """What an answer is worth, 0 to 1: `exact` all or nothing, `partial` the same where half an answer has no worth."""

    exact: float
    partial: float


class Scorer(ABC):
    """How the answers of a comparison are judged."""

    measure: ClassVar[Measure]

    @property
    def identity(self) -> tuple[str, ...]:
        """What scores depend on besides answer and gold: a part of every row's key."""
        return (self.measure.name,)

    @property
    def gold_fields(self) -> frozenset[str]:
        """The fields of an item that say what is right: no flow is shown them with the item."""
        return frozenset({"answer", "answers", "aliases"})

    @abstractmethod
    def gold(self, item: Item) -> list[str]:
        """What counts as right, as it is written; empty if the item does not say."""

    @abstractmethod
    async def complaint(self, item: Item) -> str:
        """Why answers to the item cannot be judged; empty if they can."""

    @abstractmethod
    async def scores(self, item: Item, answer: str) -> Scores:
        """What an answer is worth. Whatever the answer holds, this raises nothing."""


class TextScorer(Scorer):
    """Exact match and F1 against the gold answers of an item."""

    measure = TEXT

    def gold(self, item: Item) -> list[str]:
        """Its `answer` and `aliases`."""
        return gold_answers(item)

    async def complaint(self, item: Item) -> str:
        """Whether it has a gold answer."""
        return "" if gold_answers(item) else lacks(item.fields, ["answer"]) or "its answer is empty"

    async def scores(self, item: Item, answer: str) -> Scores:
        """Against the gold answer that fits best."""
        return Scores(*best_scores(answer, gold_answers(item)))


class LabelScorer(Scorer):
    """Whether the answer is the label in a field of the item."""

    measure = LABEL

    def __init__(self, field: str = "answer", names: Mapping[str, str] | None = None) -> None:
        """`names`: how a flow calls the values of the field, such as `{"0": "yes", "1": "no"}`."""
        self.field, self.names = field, dict(names or {})

    @property
    def gold_fields(self) -> frozenset[str]:
        """The field with the label."""
        return frozenset({self.field})

    def gold(self, item: Item) -> list[str]:
        """The label, in the flow's words."""
        value = item.fields.get(self.field)
        label = "" if value is None else as_answer(value).strip()
        return [self.names.get(label, label)] if label else []

    async def complaint(self, item: Item) -> str:
        """Whether it has a label, and one that is named if any are."""
        if not self.gold(item):
            return lacks(item.fields, [self.field]) or f"its {self.field} is empty"
        label = as_answer(item.fields[self.field]).strip()
        return "" if not self.names or label in self.names else f"its {self.field} {label!r} is none of those named"

    async def scores(self, item: Item, answer: str) -> Scores:
        """All or nothing."""
        right = float(answer.strip().casefold() in [label.casefold() for label in self.gold(item)])
        return Scores(right, right)


class NumberScorer(Scorer):
    """Whether a calculation ends with the number in the item's `answer`."""

    measure = NUMBER

    def gold(self, item: Item) -> list[str]:
        """Its `answer`."""
        return gold_answers(item)[:1]

    async def complaint(self, item: Item) -> str:
        """Whether its answer is a number."""
        gold = self.gold(item)
        if not gold:
            return lacks(item.fields, ["answer"]) or "its answer is empty"
        return "" if as_number(gold[0]) is not None else f"its answer {gold[0]!r} is no number"

    async def scores(self, item: Item, answer: str) -> Scores:
        """All or nothing."""
        said = last_number(short_answer(answer)) or last_number(answer)
        meant = [number for number in (as_number(said), as_number(said.rstrip("%"))) if number is not None]
        wanted = [number for gold in self.gold(item) if (number := as_number(gold)) is not None]
        right = float(any(same_number(number, gold) for number in meant for gold in wanted))
        return Scores(right, right)
