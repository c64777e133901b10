"""The nodes that a batch adds to the running graph: a batch with its rounds, and one question to a model."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import ClassVar

from pydantic import ConfigDict, Field

from ...errors import BackendError, BadRequest, BudgetExceeded, ContextTooLong
from ...orchestrator import Context, Node
from .packing import halves
from .progress import Progress
from .stopping import RULES, StopName
from .task import Task
from .votes import Vote, winner

DRAWS = 20
"""How often an order is drawn before one that was there already is taken again."""


@dataclass(frozen=True)
class Round:
    """What one round said."""

    votes: dict[int, Vote | None]
    """By item; an item that could not be asked is not in it."""
    asked: dict[str, tuple[int, ...]] = field(default_factory=dict)
    """The items of each call, by the path of its node."""
    ended_by: BudgetExceeded | None = None
    """The wall that was reached."""
    refused: dict[int, BackendError] = field(default_factory=dict)
    """What the server said against a prompt about this item alone."""


@dataclass(frozen=True)
class Standing:
    """How the items of a batch stand after its rounds."""

    votes: dict[int, list[Vote | None]]
    asked: dict[str, tuple[int, ...]] = field(default_factory=dict)
    undecided: tuple[int, ...] = ()
    """The items that no rule has stopped."""
    ended_by: BudgetExceeded | None = None
    refused: dict[int, BackendError] = field(default_factory=dict)


def joined(rounds: Sequence[Round]) -> Round:
    """What several calls said, a later one before an earlier one."""
    votes: dict[int, Vote | None] = {}
    asked: dict[str, tuple[int, ...]] = {}
    refused: dict[int, BackendError] = {}
    for part in rounds:
        votes |= part.votes
        asked |= part.asked
        refused |= part.refused
    ended_by = next((part.ended_by for part in rounds if part.ended_by is not None), None)
    return Round(votes, asked, ended_by, refused)


def merged(standings: Sequence[Standing]) -> Standing:
    """How the items of several batches stand."""
    votes: dict[int, list[Vote | None]] = {}
    asked: dict[str, tuple[int, ...]] = {}
    refused: dict[int, BackendError] = {}
    for part in standings:
        votes |= part.votes
        asked |= part.asked
        refused |= part.refused
    undecided = tuple(item for part in standings for item in part.undecided)
    ended_by = next((part.ended_by for part in standings if part.ended_by is not None), None)
    return Standing(votes, asked, undecided, ended_by, refused)


class AskTogether(Node):
    """Ask about some items at once; the value is a `Round`.

    If half of the reply or more cannot be used, or the server refuses the prompt, what is missing is asked again in two
    halves, purpose `repair`, down to prompts about a single item. Items that together do not fit in what is left of a
    budget, which refuses a prompt before a token of it is spent, are asked in halves as well.
    """

    kind: ClassVar[str] = "ask"
    model_config = ConfigDict(arbitrary_types_allowed=True)

    task: Task
    texts: dict[int, str]
    """The items in the order in which they are shown, by number."""
    model: str
    purpose: str
    instruction: int | None = None
    """Prompt tokens that are the same in every call, where they were counted."""
    progress: Progress | None = None
    """Who is told of every call."""

    async def run(self, ctx: Context) -> Round:
        """One call, and more in halves if it does not work out."""
        items = list(self.texts)
        asked = {ctx.path: tuple(items)}
        try:
            said = await ctx.complete(
                self.task.turns(list(self.texts.values())),
                model=self.model,
                purpose=self.purpose,
                # A prompt about a single item has another frame, which nobody counted.
                instruction=self.instruction if len(items) > 1 else None,
                **self.task.asked(len(items)),
            )
        except BudgetExceeded as error:
            if error.unit != "tokens" or len(items) == 1:
                return Round({}, asked, error)
            ctx.note(f"{len(items)} inputs do not fit in what is left of the budget; asked in halves")
            return await self._in_halves(ctx, items, Round({}, asked), self.purpose)
        except (BadRequest, ContextTooLong) as error:
            ctx.note(f"refused: {error}")
            if len(items) == 1:
                return Round({items[0]: None}, asked, refused={items[0]: error})
            votes: dict[int, Vote | None] = dict.fromkeys(items)
        else:
            votes = dict(zip(items, self.task.read(said, len(items)), strict=True))
            if self.progress is not None:
                self.progress.heard(votes, said.usage)
        missing = [item for item in items if votes[item] is None]
        if len(items) == 1 or 2 * len(missing) < len(items):
            return Round(votes, asked)
        ctx.note(f"{len(missing)} of {len(items)} inputs have no usable answer; asked again in halves")
        return await self._in_halves(ctx, missing, Round(votes, asked), "repair")

    async def _in_halves(self, ctx: Context, missing: Sequence[int], so_far: Round, purpose: str) -> Round:
        parts = {
            f"half-{number}": self.model_copy(
                update={"texts": {item: self.texts[item] for item in part}, "purpose": purpose}
            )
            for number, part in enumerate(halves(missing), start=1)
        }
        return joined([so_far, *(await ctx.expand(parts)).values()])


class BatchRounds(Node):
    """A batch: round after round over its items, each in another order, until a rule stops them; the value is their
    `Standing`. An item that has stopped leaves the batch, which becomes smaller and is not filled up.
    """

    kind: ClassVar[str] = "rounds"
    model_config = ConfigDict(arbitrary_types_allowed=True)

    task: Task
    texts: dict[int, str]
    model: str
    first: int = 1
    """The number of the first round here: those before it are in `votes`."""
    last: int
    """How many votes an item has at most."""
    stop: StopName
    seed: str
    """Makes the orders of this batch its own."""
    votes: dict[int, list[Vote | None]] = Field(default={})
    purpose: str = "vote"
    instruction: int | None = None
    progress: Progress | None = None
    """Who is told of every call, and which items are decided."""

    async def run(self, ctx: Context) -> Standing:
        """Children: `round-1`, `round-2`, ..., each for the items that are still open."""
        votes = {item: list(self.votes.get(item, ())) for item in self.texts}
        asked: dict[str, tuple[int, ...]] = {}
        refused: dict[int, BackendError] = {}
        heard: dict[tuple[int, ...], dict[int, Vote | None]] = {}
        number = self.first
        while voting := [item for item in self._undecided(votes) if len(votes[item]) < self.last]:
            order = shuffled(voting, self.seed, number, heard)
            known = heard.get(order) if _repeats_itself(ctx, self.model) else None
            found = Round(known) if known is not None else await self._asked(ctx, order, number)
            heard[order] = found.votes
            asked |= found.asked
            refused |= found.refused
            for item, vote in found.votes.items():
                votes[item].append(vote)
            self._tell(votes)
            if found.ended_by is not None:
                return Standing(votes, asked, self._undecided(votes), found.ended_by, refused)
            number += 1
        return Standing(votes, asked, self._undecided(votes), None, refused)

    async def _asked(self, ctx: Context, order: Sequence[int], number: int) -> Round:
        asking = AskTogether(
            task=self.task,
            texts={item: self.texts[item] for item in order},
            model=self.model,
            purpose=self.purpose,
            instruction=self.instruction,
            progress=self.progress,
        )
        found: Round = (await ctx.expand({f"round-{number}": asking}))[f"round-{number}"]
        return found

    def _tell(self, votes: dict[int, list[Vote | None]]) -> None:
        if self.progress is not None:
            waiting = set(self._undecided(votes))
            won = {item for item in waiting if len(votes[item]) == self.last and winner(votes[item]) is not None}
            self.progress.decided(item for item in self.texts if item not in waiting - won)

    def _undecided(self, votes: dict[int, list[Vote | None]]) -> tuple[int, ...]:
        stopped = RULES[self.stop]
        return tuple(item for item in self.texts if not stopped(votes[item], self.last - len(votes[item])))


def shuffled(items: Sequence[int], seed: str, number: int, before: Collection[tuple[int, ...]] = ()) -> tuple[int, ...]:
    """The order of a round: the first keeps that of the items, each other is drawn anew, the same for the same seed.

    It is none of those `before`, unless a few items have been in so many orders that another is hard to find.
    """
    order = list(items)
    if number > 1:
        drawn = Random(f"{seed}/{number}")
        for _ in range(DRAWS):
            drawn.shuffle(order)
            if tuple(order) not in before:
                break
    return tuple(order)


def _repeats_itself(ctx: Context, model: str) -> bool:
    """Whether the same prompt gets the same answer, so that nothing is learned from asking it twice."""
    spec = ctx.flow.models.get(model)
    return spec is None or not spec.temperature or spec.seed is not None
