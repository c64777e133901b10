"""`kind: lifting`: lifters of different capacity, and boxes whose weight shows only in the attempt to lift them."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Self

from .state import State
from .world import World, world

CAPACITIES = (1, 9)
"""The least and the most that one robot lifts."""
_LIFTERS = re.compile(r"^Capacities: (robot\d+ \d+(?:, robot\d+ \d+)*)\.$", re.MULTILINE)
_BOXES = re.compile(r"^Boxes: (box\d+ (?:over \d+|lifted)(?:, box\d+ (?:over \d+|lifted))*)\.$", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class LiftingState(State):
    """What is known of the boxes; the weights are there for the world alone, and not in a state read from a brief."""

    kind = "lifting"
    rules = (
        "Robots lift boxes; each has a capacity, each box a weight that nobody knows. Robots that lift the same box "
        "in one step lift it if their capacities add up to its weight or more; if not, it is known to weigh over "
        "their sum. Every box must be lifted once. In one step each robot may do one of: lift BOX, wait. Robots whose"
        " sum a box is known to weigh over may not try it alone. A plan that breaks a rule wastes the step."
    )

    capacities: tuple[int, ...]
    over: tuple[int | None, ...]
    """What each box is known to weigh more than; None if it is lifted."""
    weights: tuple[int, ...] = field(default=(), compare=False, repr=False)

    @property
    def agents(self) -> int:
        """One for each capacity."""
        return len(self.capacities)

    @property
    def score(self) -> float:
        """The part of the boxes that is lifted."""
        return self.over.count(None) / len(self.over)

    def lines(self) -> list[str]:
        """A line for the robots, and one for the boxes."""
        lifters = (f"{name} {capacity}" for name, capacity in zip(self.names, self.capacities, strict=True))
        boxes = (
            f"box{number} {'lifted' if over is None else f'over {over}'}"
            for number, over in enumerate(self.over, start=1)
        )
        return [f"Capacities: {', '.join(lifters)}.", f"Boxes: {', '.join(boxes)}."]

    @classmethod
    def parsed(cls, text: str) -> Self:
        """The state whose lines are in `text`, without the weights."""
        lifters, boxes = _LIFTERS.search(text), _BOXES.search(text)
        if lifters is None or boxes is None:
            raise ValueError("there are no lines of capacities and boxes in it")
        return cls(
            capacities=tuple(int(each.split()[1]) for each in lifters[1].split(", ")),
            over=tuple(
                None if each.endswith("lifted") else int(each.rsplit(" ", 1)[1]) for each in boxes[1].split(", ")
            ),
        )

    def options(self, name: str) -> list[str]:
        """Every box that is not lifted."""
        return [f"lift box{number}" for number, over in enumerate(self.over, start=1) if over is not None]

    def obstacle(self, name: str, action: str) -> str:
        """The box is lifted, or there is none."""
        match action.split():
            case ["lift", box]:
                numbers = [f"box{number}" for number in range(1, len(self.over) + 1)]
                return f"{box} is lifted" if box in numbers else f"there is no {box[:20]!r}"
        return ""

    def clashes(self, actions: Mapping[str, str]) -> list[str]:
        """Groups that are known to be too weak."""
        found = []
        for number, names in self._groups(actions).items():
            over = self.over[number]
            if over is not None and self._sum(names) <= over:
                found.append(
                    f"box{number + 1} weighs over {over}, and {' and '.join(names)} lift only {self._sum(names)}"
                )
        return found

    def done(self, actions: Mapping[str, str]) -> tuple[Self, list[str]]:
        """Boxes lifted, or known to be heavier. Raises ValueError if the weights are not there."""
        if not self.weights:
            raise ValueError("a state that was read from a brief does not know the weights")
        over = list(self.over)
        seen = []
        for number, names in self._groups(actions).items():
            lifted = self._sum(names) >= self.weights[number]
            over[number] = None if lifted else self._sum(names)
            seen.append(f"box{number + 1} {'is lifted' if lifted else f'weighs over {self._sum(names)}'}")
        return replace(self, over=tuple(over)), seen

    def progress(self) -> str:
        """Boxes that are lifted."""
        return f"{self.over.count(None)} of {len(self.over)} boxes are lifted"

    def policy(self) -> str:
        """The heaviest known box first, by twice what was too little; who is free tries the next one."""
        free = sorted(self.names, key=lambda name: -self.capacities[self.names.index(name)])
        actions: dict[str, str] = {}
        left = [(over, number) for number, over in enumerate(self.over, start=1) if over is not None]
        for over, number in sorted(left, key=lambda box: (-box[0], box[1])):
            group: list[str] = []
            while self._sum(group) < max(1, 2 * over) and len(group) < len(free):
                group.append(free[len(group)])
            if self._sum(group) > over:
                free = free[len(group) :]
                actions |= dict.fromkeys(group, f"lift box{number}")
        return self.write(actions)

    def _groups(self, actions: Mapping[str, str]) -> dict[int, list[str]]:
        """Who lifts which box, by its number from 0."""
        groups: dict[int, list[str]] = {}
        for name, action in actions.items():
            groups.setdefault(int(action.removeprefix("lift box")) - 1, []).append(name)
        return dict(sorted(groups.items()))

    def _sum(self, names: list[str]) -> int:
        return sum(self.capacities[self.names.index(name)] for name in names)


@world("lifting")
class Lifting(World):
    """Three boxes for every two robots."""

    state = LiftingState

    def made(self, rng: random.Random) -> LiftingState:
        """Each weight is at most what a few of the robots, drawn by lot, lift together: so all can be lifted."""
        capacities = tuple(rng.randint(*CAPACITIES) for _ in range(self.agents))
        groups = [
            rng.sample(capacities, rng.randint(1, max(2, self.agents // 2)))
            for _ in range(self.agents + self.agents // 2)
        ]
        weights = tuple(rng.randint(1, sum(group)) for group in groups)
        return LiftingState(capacities=capacities, over=(0,) * len(weights), weights=weights)
