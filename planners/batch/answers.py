"""Answers: what came of the items, in their order, with what each cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Literal

import msgspec
from msgspec.structs import astuple, replace

from ...accounting.call import Call

By = Literal["batch", "single", "calibration", "nobody"]


class Share(msgspec.Struct, frozen=True):
    """What one item cost, in tokens: its part of every call it was in, as if no answer had been reused.

    The shares of all items add up to what their node spent and what reuse avoided, to the token.
    """

    prompt: int = 0
    cached: int = 0
    completion: int = 0
    calls: int = 0

    @property
    def total(self) -> int:
        """Prompt and completion."""
        return self.prompt + self.completion


class Detail(msgspec.Struct, frozen=True, kw_only=True):
    """How an item came to its answer."""

    answer: str | None
    by: By
    """Who gave it: the votes of its batch, a prompt of its own, the calibration sample, or nobody."""
    votes: dict[str, float] = {}
    """The weight of each label."""
    rounds: int = 0
    """Its votes and abstentions, a prompt of its own included."""
    why: str = ""
    """Why it has no answer, or one that is not that of a majority."""
    share: Share = Share()


class Answers(list[str | None]):
    """The answers in the order of the items, None where there is none; `details` says how each came about.

    In a template `{{ node }}` is the list of answers, `{{ node.details[0].votes }}` what stands behind the first.
    """

    def __init__(self, details: Iterable[Detail]) -> None:
        self.details = list(details)
        super().__init__(detail.answer for detail in self.details)


def spread(
    shown: Sequence[str], texts: Sequence[str], outcomes: Sequence[Detail], costs: Sequence[Share]
) -> Iterator[Detail]:
    """The details of all items from those of the different `texts` among them: equal items share one and its cost."""
    places = {text: place for place, text in enumerate(texts)}
    number = Counter(shown)
    parts = {
        text: list(zip(*(split(amount, number[text]) for amount in astuple(cost)), strict=True))
        for text, cost in zip(texts, costs, strict=True)
    }
    for text in shown:
        yield replace(outcomes[places[text]], share=Share(*parts[text].pop()))


def shares(number: int, calls: Iterable[Call], asked: Mapping[str, Sequence[int]]) -> list[Share]:
    """What each of `number` items cost. `asked`: the items that the calls of each node path were about.

    A call that was about no item in particular is everybody's.
    """
    sums = [[0, 0, 0, 0] for _ in range(number)]
    everybody = range(number)
    for call in calls:
        usage = call.avoided if call.avoided is not None else call.usage
        whole = (usage.prompt or 0, usage.cache_read or 0, usage.completion or 0, 1)
        items = asked.get(call.node) or everybody
        for kind, amount in enumerate(whole):
            for item, part in zip(items, split(amount, len(items)), strict=True):
                sums[item][kind] += part
    return [Share(*sum) for sum in sums]


def tokens_of(calls: Iterable[Call], nodes: Collection[str]) -> int:
    """The prompt and completion tokens of the calls of these nodes, as if no answer had been reused."""
    used = [call.avoided or call.usage for call in calls if call.node in nodes]
    return sum((usage.prompt or 0) + (usage.completion or 0) for usage in used)


def split(amount: int, parts: int) -> list[int]:
    """`amount` in so many whole parts, which differ by no more than 1 and add up to it."""
    each, rest = divmod(amount, parts)
    return [each + (place < rest) for place in range(parts)]
