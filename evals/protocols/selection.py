"""Select: the arms race over the items of a data set, and one of them is chosen."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import msgspec

from ...errors import LaconicError
from ...orchestrator import Runtime
from ..contestant import Contestant
from ..data import Data, Item
from ..figures import Measured
from ..scoring import Scorer
from ..statistics import bootstrap
from .arms import Arm
from .conversations import Held, hold
from .race import Race
from .reader import Reader
from .reward import Weights, rewards

ORDER = 20_241_010
"""Seed of the order of the items."""


class Scored(msgspec.Struct, frozen=True):
    """A conversation and what it is worth."""

    held: Held
    loss: float | None
    """The worst loss of its messages; None if nobody read them."""
    reward: float


class ArmFigures(msgspec.Struct, frozen=True, kw_only=True):
    """What one arm came to, a conversation on average."""

    name: str
    items: int
    conversations: int
    score: float
    """What its answers are worth, all or nothing."""
    f1: float
    tokens: float
    message_tokens: float
    reward: Measured
    out: int | None
    """After how many items it left the race; None if it stayed."""
    unknown: bool
    """Whether its tokens are a lower bound."""


@dataclass
class Selection:
    """How the race went."""

    arms: Sequence[Arm]
    race: Race
    reader: Reader | None
    weights: Weights
    scored: list[Scored] = field(default_factory=list)
    error: str = ""
    """Why it ended before its time; nothing is chosen then."""

    @property
    def chosen(self) -> Arm:
        """The arm with the highest mean reward of those that stayed."""
        return next(arm for arm in self.arms if arm.name == self.race.best)

    @property
    def contestants(self) -> list[Contestant]:
        """Everybody that a run in the ledger belongs to: the arms, and whoever read their messages."""
        return [*(arm.contestant for arm in self.arms), *([self.reader.contestant] if self.reader else [])]

    def figures(self) -> list[ArmFigures]:
        """The arms, the chosen one first, those that left last behind it."""
        order = sorted(
            self.arms, key=lambda arm: (arm.name in self.race.out, -self.race.out.get(arm.name, 0), -self._mean(arm))
        )
        return [self._figures(arm) for arm in order if self.race.rewards[arm.name]]

    def _mean(self, arm: Arm) -> float:
        return self.race.mean(arm.name)

    def _figures(self, arm: Arm) -> ArmFigures:
        mine = [scored.held for scored in self.scored if scored.held.arm == arm.name]
        given = self.race.rewards[arm.name]
        return ArmFigures(
            name=arm.name,
            items=len(given),
            conversations=len(mine),
            score=sum(held.exact for held in mine) / len(mine),
            f1=sum(held.partial for held in mine) / len(mine),
            tokens=sum(held.tokens for held in mine) / len(mine),
            message_tokens=sum(held.message_tokens for held in mine) / len(mine),
            reward=Measured(self._mean(arm), bootstrap(given)),
            out=self.race.out.get(arm.name),
            unknown=any(held.unknown for held in mine),
        )


async def select(
    arms: Sequence[Arm],
    data: Data,
    runtime: Runtime,
    *,
    scorer: Scorer,
    weights: Weights,
    reader: Reader | None = None,
    rounds: int | None = None,
    on_round: Callable[[Selection, list[str]], None] | None = None,
) -> Selection:
    """Let the arms race over the items, in an order drawn once, until one is left or `rounds` items are answered.

    In a round all arms that are still in the race talk about one item at the same time. Without a `reader` readability
    is left out. `on_round` is told of every round and of the arms that left in it. What a server leaves unanswered ends
    the race with `error`, since it says nothing of an arm.
    """
    if reader is None:
        weights = msgspec.structs.replace(weights, readability=0.0)
    selection = Selection(arms, Race([arm.name for arm in arms]), reader, weights)
    items = list(data.items)
    random.Random(ORDER).shuffle(items)
    for item in items[:rounds]:
        running = [arm for arm in arms if arm.name in selection.race.running]
        try:
            scored = await _round(running, item, runtime, scorer, selection.weights, reader)
        except LaconicError as error:
            selection.error = str(error)
            return selection
        unserved = next((one.held for one in scored if one.held.status == "unserved"), None)
        if unserved is not None:
            selection.error = f"the server left {unserved.arm!r} without an answer on item {item.id}: {unserved.error}"
            return selection
        selection.scored += scored
        left = selection.race.add(
            {arm.name: _mean([one.reward for one in scored if one.held.arm == arm.name]) for arm in running}
        )
        if on_round is not None:
            on_round(selection, left)
        if len(selection.race.running) == 1:
            break
    return selection


async def _round(
    arms: Sequence[Arm], item: Item, runtime: Runtime, scorer: Scorer, weights: Weights, reader: Reader | None
) -> list[Scored]:
    """All conversations about one item, which are ranked against each other."""
    group = await asyncio.gather(
        *(hold(arm, item, number, runtime, scorer) for arm in arms for number in range(1, len(arm.asked) + 1))
    )
    losses: list[float | None] = [None] * len(group)
    if reader is not None and weights.readability:
        losses = list(await asyncio.gather(*(reader.worst(held, runtime) for held in group)))
    return [
        Scored(held, loss, reward)
        for held, loss, reward in zip(group, losses, rewards(group, losses, weights), strict=True)
    ]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
