"""Progress: how far the items of a batch node are, and what they would have taken in prompts of their own."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from ...accounting.call import Call
from ...backends.usage import Usage
from ...orchestrator import Context, ItemsDecided
from .task import Task
from .votes import Vote


async def followed(ctx: Context, task: Task, often: Sequence[int], model: str, instruction: int | None) -> Progress:
    """The progress of a node that asks `task` of `model`."""
    if instruction is None:
        return Progress(ctx, often, None, None)
    return Progress(ctx, often, instruction, (await ctx.count(task.turns([""]), model=model)).tokens)


class Progress:
    """Adds up what the calls of one node say, and tells it as `ItemsDecided`.

    A prompt of its own is taken to cost an item: the instruction as single items get it, and its equal part of the
    items and answers of the first call that it was in.
    """

    def __init__(self, ctx: Context, often: Sequence[int], instruction: int | None, alone: int | None) -> None:
        """`often`: how many items of the list each one that is asked stands for. `instruction`, `alone`: prompt tokens
        of all but the items in a prompt for several and in one for a single item; None where nothing can be counted.
        """
        self._ctx = ctx
        self._often = often
        self._of = sum(often)
        self._instruction, self._instruction_alone = instruction, alone
        self._alone: dict[int, float] = {}
        self._decided: set[int] = set()
        self._done = self._votes = self._tokens = 0
        self._single = 0.0
        self._countable = True

    def calibrated(self, items: Collection[int], calls: Sequence[Call], single: float | None) -> None:
        """A sample was measured on with these calls; these items of it were answered, for `single` tokens each."""
        self._tokens += sum((call.usage.prompt or 0) + (call.usage.completion or 0) for call in calls)
        self._countable = self._countable and (single is not None or not items)
        self._alone.update(dict.fromkeys(items, single or 0.0))
        self.decided(items)

    def heard(self, votes: dict[int, Vote | None], usage: Usage) -> None:
        """A call about these items was answered."""
        self._votes += sum(vote is not None for vote in votes.values())
        self._tokens += (usage.prompt or 0) + (usage.completion or 0)
        single = self._single_prompt(len(votes), usage.total)
        if single is None:
            self._countable = False
        else:
            for item in votes:
                self._alone.setdefault(item, single)
        self._tell()

    def _single_prompt(self, number: int, total: int | None) -> float | None:
        """About what each of the items of a call would take by itself."""
        if number == 1 or total is None:
            return total
        if self._instruction is None or self._instruction_alone is None:
            return None
        return self._instruction_alone + (total - self._instruction) / number

    def decided(self, items: Iterable[int]) -> None:
        """These have an answer, or will get none."""
        for item in items:
            if item not in self._decided:
                self._decided.add(item)
                self._done += self._often[item]
                self._single += self._often[item] * self._alone.get(item, 0)
        self._tell()

    def _tell(self) -> None:
        run = self._ctx.run
        if run.on_event is None:
            return
        run.on_event(
            ItemsDecided(
                run=run.id,
                path=self._ctx.path,
                done=self._done,
                of=self._of,
                votes=self._votes,
                tokens=self._tokens,
                single=round(self._single) if self._countable else None,
                item=self._ctx.item,
            )
        )
