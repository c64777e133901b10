"""Progress: how far the items of a batch node are, and what they would have taken in prompts of their own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ...backends.usage import Usage
from ...orchestrator import Context, ItemsDecided
from .votes import Vote


class Progress:
    """Adds up what the calls of one node say, and tells it as `ItemsDecided`.

    A prompt of its own is taken to cost an item: the instruction, its equal part of what else was in the first prompt
    that it was in, and of the reply.
    """

    def __init__(self, ctx: Context, often: Sequence[int], instruction: int | None) -> None:
        """`often`: how many items of the list each one that is asked stands for. `instruction`: its prompt tokens."""
        self._ctx = ctx
        self._often = often
        self._of = sum(often)
        self._instruction = instruction
        self._alone: dict[int, float] = {}
        self._decided: set[int] = set()
        self._done = self._votes = self._tokens = 0
        self._single = 0.0
        self._countable = instruction is not None

    def heard(self, votes: dict[int, Vote | None], usage: Usage) -> None:
        """A call about these items was answered."""
        self._votes += sum(vote is not None for vote in votes.values())
        self._tokens += (usage.prompt or 0) + (usage.completion or 0)
        if self._instruction is None or usage.total is None:
            self._countable = False
        else:
            own = (usage.total - self._instruction) / len(votes)
            for item in votes:
                self._alone.setdefault(item, self._instruction + own)
        self._tell()

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
