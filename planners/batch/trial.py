"""Trial: one batch size on a sample, with the rounds it has had so far and what they left over."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b

from ...errors import BudgetExceeded
from ...orchestrator import Context
from .answers import tokens_of
from .batches import in_batches
from .choice import Search, Way
from .outcome import left_over, outcome
from .room import Room
from .rounds import AskTogether, BatchRounds, Round, Standing, joined, merged
from .stopping import rule_for
from .task import Task

PURPOSE = "calibrate"


@dataclass(frozen=True)
class Sample:
    """The items on which ways to ask are measured, by number, and how they are asked."""

    task: Task
    texts: Mapping[int, str]
    room: Room
    search: Search

    @property
    def mark(self) -> str:
        """What tells this sample from others."""
        return blake2b("\0".join(self.texts.values()).encode("utf-8", "replace"), digest_size=16).hexdigest()

    async def singly(self, ctx: Context, name: str, items: Iterable[int], model: str) -> Round:
        """Some of the items, each in a prompt of its own."""
        nodes = {
            f"{name}-{item}": AskTogether(task=self.task, texts={item: self.texts[item]}, model=model, purpose=PURPOSE)
            for item in items
        }
        return joined(list((await ctx.expand(nodes)).values()) if nodes else [])


@dataclass
class Trial:
    """Batches of one size. `alone`: what is known of items in prompts of their own; it grows as more are left over."""

    sample: Sample
    size: int
    alone: Round
    votes: int = 0
    """The rounds so far."""
    standing: Standing = field(default_factory=lambda: Standing({}))

    def limit(self) -> str | None:
        """Why there are no batches of this size to be measured."""
        number = len(self.sample.texts)
        if 2 * self.size > number:
            return f"a sample of {number:,} has no two batches of {self.size}"
        largest = max(len(batch.texts) for batch in self._batches(1).values())
        return f"no {self.size} of the sample fit in one prompt" if largest < self.size else None

    async def go_on(self, ctx: Context, votes: int) -> None:
        """Vote in further rounds, up to `votes` in all, and ask by itself what they leave over."""
        found = merged(list((await ctx.expand(self._batches(votes))).values()))
        asked = self.standing.asked | found.asked
        self.standing = Standing(found.votes, asked, found.undecided, found.ended_by, found.refused)
        self.votes = votes
        new = [item for item in self._left() if item not in self.alone.votes]
        search = self.sample.search
        self.alone = joined([self.alone, await self.sample.singly(ctx, "left", new, search.last or search.model)])

    @property
    def ended_by(self) -> BudgetExceeded | None:
        """The wall that was reached."""
        return self.standing.ended_by or self.alone.ended_by

    def answers(self) -> dict[int, str | None]:
        """What comes of each item of the sample."""
        alone = Round({item: self.alone.votes[item] for item in self._left() if item in self.alone.votes})
        return {item: outcome(item, self.standing, alone, self.sample.room).answer for item in self.sample.texts}

    def tokens(self, ctx: Context) -> float:
        """What an item costs, what is left over included."""
        left = set(self._left())
        alone = [path for path, items in self.alone.asked.items() if items[0] in left]
        return tokens_of(ctx.calls(), {*self.standing.asked, *alone}) / len(self.sample.texts)

    @property
    def failing(self) -> bool:
        """Whether most replies could not be used as they were."""
        whole = [path for path in self.standing.asked if "/half-" not in path]
        again = {path.partition("/half-")[0] for path in self.standing.asked if "/half-" in path}
        return 2 * len(again) > len(whole)

    def _left(self) -> list[int]:
        search = self.sample.search
        return left_over(self.sample.texts, self.standing, rule_for(search.stop, self.votes), search.last)

    def _batches(self, votes: int) -> dict[str, BatchRounds]:
        sample, search = self.sample, self.sample.search
        return in_batches(
            sample.texts,
            sample.room,
            Way(self.size, votes),
            prefix=f"{self.size}-",
            task=sample.task,
            model=search.model,
            stop=rule_for(search.stop, votes),
            seed=search.seed,
            purpose=PURPOSE,
            first=self.votes + 1,
            votes=self.standing.votes,
        )
