"""Sizing: the batch size and the number of votes that are the cheapest of those that keep single prompting's accuracy.

A sample is asked singly, then in batches that double for as long as the accuracy holds. No round is paid twice: more
votes go on from those there are, and what a batch leaves over has mostly been asked singly before.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from msgspec.structs import replace
from pydantic import ConfigDict

from ...errors import BudgetExceeded
from ...orchestrator import Context, Node
from ...orchestrator.agreement import same_answer
from .answers import tokens_of
from .bound import Pairs, items_needed, least_kept
from .choice import SINGLY, Choice, Way, percent
from .rounds import Round
from .trial import Sample, Trial


@dataclass(frozen=True)
class Sized:
    """What was found."""

    way: Way
    singly: Round = field(default_factory=lambda: Round({}))
    """What single prompting said of the sample."""
    remarks: tuple[str, ...] = ()
    choice: Choice | None = None
    """What is worth remembering; None where nothing was measured to its end."""
    ended_by: BudgetExceeded | None = None
    single: float | None = None
    """Tokens of a prompt of its own for an item, mean over the sample; None where none was asked."""


class Sizing(Node):
    """Measures ways to ask on a sample; the value is a `Sized`."""

    kind: ClassVar[str] = "sizing"
    model_config = ConfigDict(arbitrary_types_allowed=True)

    sample: Sample
    right: dict[int, str] | None
    """The right answers; None to hold everything against single prompting's own."""

    known: Choice | None = None
    """What was measured on this very sample before: it is not measured again."""

    async def run(self, ctx: Context) -> Sized:
        """Children: `single-3`; `4-batch-1` with its rounds, once more for more votes; `left-3`."""
        texts, search = self.sample.texts, self.sample.search
        singly = await self.sample.singly(ctx, "single", texts, search.model)
        tokens = tokens_of(ctx.calls(), singly.asked) / len(texts)
        return dataclasses.replace(await self._found(ctx, singly, tokens), single=tokens)

    async def _found(self, ctx: Context, singly: Round, tokens: float) -> Sized:
        search = self.sample.search
        if self.known is not None:
            return Sized(self.known.way, singly, (f"{self.known}; remembered from an earlier measurement",))
        if singly.ended_by is not None:
            return Sized(SINGLY, singly, ended_by=singly.ended_by)
        # Where single prompting says nothing, only a label can tell who is right.
        single = {
            item: vote and vote.label
            for item, vote in singly.votes.items()
            if vote is not None or self.right is not None
        }
        accuracy = sum(self._is_right(item, said, single) for item, said in single.items()) / max(1, len(single))
        if accuracy == 0:
            return Sized(SINGLY, singly, ("asked singly, since not one answer to the sample is right",))
        needed = items_needed(search.floor, accuracy)
        if len(single) < needed:
            return Sized(SINGLY, singly, (too_small(search.floor, len(single), needed),))
        plain = Choice(
            way=SINGLY,
            tokens=tokens,
            single=tokens,
            kept=1.0,
            floor=search.floor,
            items=len(single),
            labelled=self.right is not None,
            sample=self.sample.mark,
        )
        return await self._grow(ctx, singly, single, plain)

    async def _grow(self, ctx: Context, singly: Round, single: Mapping[int, str | None], best: Choice) -> Sized:
        """Try one size after the other, until one does not hold."""
        search = self.sample.search
        alone = singly if search.last is None else Round({})
        stopped = ""
        for size in search.sizes:
            trial = Trial(self.sample, size, alone)
            stopped = trial.limit() or ""
            if stopped:
                break
            kept: dict[int, float] = {}
            for votes in search.votes:
                await trial.go_on(ctx, votes)
                if trial.ended_by is not None:
                    stopped = f"the budget ended while {Way(size, votes)} was measured"
                    return Sized(best.way, singly, (str(best), stopped), ended_by=trial.ended_by)
                kept[votes] = least_kept(self._pairs(trial.answers(), single))
                if kept[votes] >= search.floor or trial.failing:
                    break
            if kept[votes] < search.floor:
                stopped = f"stopped at {_shown(size, kept)}"
                break
            tokens = trial.tokens(ctx)
            if tokens < best.tokens:
                best = replace(best, way=Way(size, votes), tokens=tokens, kept=kept[votes])
            if trial.failing:
                stopped = f"stopped at {size} at once, where most replies could not be used as they were"
                break
            alone = trial.alone
        return Sized(best.way, singly, (str(best), stopped or f"{size} at once is the most that is tried"), best)

    def _pairs(self, answers: Mapping[int, str | None], single: Mapping[int, str | None]) -> Pairs:
        """How often single prompting and the batches are right, on the items where that can be told."""
        cells = {(True, True): 0, (True, False): 0, (False, True): 0, (False, False): 0}
        for item, said in single.items():
            cells[self._is_right(item, said, single), self._is_right(item, answers[item], single)] += 1
        return Pairs(*cells.values())

    def _is_right(self, item: int, answer: str | None, single: Mapping[int, str | None]) -> bool:
        right = single[item] if self.right is None else self.right[item]
        if answer is None or right is None:
            return False
        return answer == right or (self.sample.task.labels is None and same_answer(answer, right))


def too_small(floor: float, items: int, needed: int) -> str:
    """Why nothing was measured on a sample."""
    return (
        f"asked singly: {items:,} items cannot show that {percent(floor)} of single prompting's accuracy is kept, even "
        f"if no answer differs; {needed:,} can (`calibration_items`, or the lines of a `calibration` file)"
    )


def _shown(size: int, kept: Mapping[int, float]) -> str:
    """The size at which the accuracy did not hold, and what each number of votes was shown to keep."""
    each = ", ".join(f"{percent(part)} with {votes} vote{'s' * (votes > 1)}" for votes, part in kept.items())
    return f"{size} at once: the sample shows no more than {each}; a larger one may show more"
