"""`kind: boxes`: one arm in each cell of a grid; coloured boxes are handed from cell to cell to their targets."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import permutations
from typing import Self

from .grid import CELL, Cell, apart, beside, called
from .state import State
from .world import World, world

COLOURS = ("red", "blue", "green", "yellow", "orange", "purple", "brown", "grey")
MOST_OF_A_COLOUR = 3
_GRID = re.compile(r"^Grid (\d+)x(\d+), (\d+) boxes in all\.$", re.MULTILINE)
_LINE = re.compile(rf"^{CELL} robot\d+: boxes ([a-z ]+|-), targets ([a-z ]+|-)$", re.MULTILINE)

Colours = tuple[tuple[str, ...], ...]
"""For each cell, the colours of what is in it, sorted."""


@dataclass(frozen=True, kw_only=True)
class BoxesState(State):
    """Boxes and targets that are left: a box on its target is gone with it."""

    kind = "boxes"
    rules = (
        "Each cell of a grid has one arm; cell b1 is south of a1, a2 is east of a1. Every box must be placed on a "
        "target of its colour. In one step each arm may do one of: move COLOUR north|east|south|west (a box from its "
        "cell into that neighbouring cell), place COLOUR (a box of its cell on a target of its cell), wait. Only one "
        "box may be moved into a cell in one step. A plan that breaks a rule wastes the step."
    )

    rows: int
    columns: int
    total: int
    """Boxes at the beginning."""
    boxes: Colours
    targets: Colours

    @property
    def agents(self) -> int:
        """One in each cell."""
        return self.rows * self.columns

    @property
    def score(self) -> float:
        """The part of the boxes that is placed."""
        return self._placed / self.total

    def lines(self) -> list[str]:
        """A line for the grid, and one for each cell."""
        cells = [
            f"{called(self.place(number))} robot{number + 1}: boxes {' '.join(boxes) or '-'}, "
            f"targets {' '.join(targets) or '-'}"
            for number, (boxes, targets) in enumerate(zip(self.boxes, self.targets, strict=True))
        ]
        return [f"Grid {self.rows}x{self.columns}, {self.total} boxes in all.", *cells]

    @classmethod
    def parsed(cls, text: str) -> Self:
        """The state whose lines are in `text`."""
        grid = _GRID.search(text)
        if grid is None:
            raise ValueError("there is no line of a grid with its boxes in it")
        rows, columns, total = map(int, grid.groups())
        cells = _LINE.findall(text, grid.end())[: rows * columns]
        boxes, targets = (
            tuple(tuple(each.replace("-", "").split()) for each in side) for side in zip(*cells, strict=True)
        )
        return cls(rows=rows, columns=columns, total=total, boxes=boxes, targets=targets)

    def options(self, name: str) -> list[str]:
        """What can be placed, then what can be moved."""
        here = self.names.index(name)
        colours = sorted(set(self.boxes[here]))
        place = [f"place {colour}" for colour in colours if colour in self.targets[here]]
        ways = [way for way, _ in beside(self.place(here), self.rows, self.columns)]
        return place + [f"move {colour} {way}" for colour in colours for way in ways]

    def obstacle(self, name: str, action: str) -> str:
        """No such box, no such target, or no cell on that side."""
        here = self.names.index(name)
        cell = called(self.place(here))
        match action.split():
            case ["move" | "place", colour, *_] if colour not in self.boxes[here]:
                return f"there is no {colour[:20]} box in {cell}"
            case ["place", colour]:
                return f"there is no {colour} target in {cell}"
            case ["move", _, ("north" | "east" | "south" | "west") as way]:
                return f"there is no cell {way} of {cell}"
        return ""

    def clashes(self, actions: Mapping[str, str]) -> list[str]:
        """Two boxes that are moved into one cell."""
        into: dict[Cell, list[str]] = {}
        for name, action in actions.items():
            if action.startswith("move "):
                into.setdefault(self._beyond(name, action.split()[2]), []).append(name)
        return [
            f"{' and '.join(names)} move a box into {called(cell)} at once" for cell, names in into.items() if names[1:]
        ]

    def done(self, actions: Mapping[str, str]) -> tuple[Self, list[str]]:
        """Boxes moved and placed."""
        boxes, targets = [list(each) for each in self.boxes], [list(each) for each in self.targets]
        for name, action in actions.items():
            here = self.names.index(name)
            verb, colour, *way = action.split()
            boxes[here].remove(colour)
            if verb == "place":
                targets[here].remove(colour)
            else:
                boxes[self.number(self._beyond(name, way[0]))].append(colour)
        return replace(self, boxes=_sorted(boxes), targets=_sorted(targets)), []

    def progress(self) -> str:
        """Boxes that are placed."""
        return f"{self._placed} of {self.total} boxes are placed"

    def policy(self) -> str:
        """Every arm takes the box of its cell that has the farthest way to go, and brings it nearer to its target.

        Boxes go to targets so that all their ways together are shortest; every step makes them shorter.
        """
        actions: dict[str, str] = {}
        taken: set[Cell] = set()
        routes = sorted(self._routes(), key=lambda route: -apart(route[1], route[2]))
        for colour, here, there in sorted(routes, key=lambda route: route[1] != route[2]):
            name = self.names[self.number(here)]
            if name in actions:
                continue
            if here == there:
                actions[name] = f"place {colour}"
                continue
            for way, cell in beside(here, self.rows, self.columns):
                if cell not in taken and apart(cell, there) < apart(here, there):
                    taken.add(cell)
                    actions[name] = f"move {colour} {way}"
                    break
        return self.write(actions)

    def place(self, number: int) -> Cell:
        """The cell of an arm, by its number from 0."""
        return divmod(number, self.columns)

    def number(self, cell: Cell) -> int:
        """The number of the arm of a cell, from 0."""
        return cell[0] * self.columns + cell[1]

    def _routes(self) -> list[tuple[str, Cell, Cell]]:
        """Each box: its colour, where it is, and the target it should go to."""
        routes = []
        for colour in sorted({colour for boxes in self.boxes for colour in boxes}):
            starts, ends = self._where(colour, self.boxes), self._where(colour, self.targets)
            best = min(permutations(ends), key=lambda order: sum(map(apart, starts, order)))
            routes += [(colour, start, end) for start, end in zip(starts, best, strict=True)]
        return routes

    def _where(self, colour: str, things: Colours) -> list[Cell]:
        return [self.place(number) for number, there in enumerate(things) for each in there if each == colour]

    def _beyond(self, name: str, way: str) -> Cell:
        return dict(beside(self.place(self.names.index(name)), self.rows, self.columns))[way]

    @property
    def _placed(self) -> int:
        return self.total - sum(map(len, self.boxes))


@world("boxes")
class Boxes(World):
    """As many boxes as robots, at least three, on a grid that is as square as can be."""

    state = BoxesState

    def made(self, rng: random.Random) -> BoxesState:
        """Boxes and targets dealt out; no box begins in the cell of the target that was dealt with it."""
        rows = max(size for size in range(1, self.agents + 1) if self.agents % size == 0 and size * size <= self.agents)
        total = max(3, self.agents)
        boxes: list[list[str]] = [[] for _ in range(self.agents)]
        targets: list[list[str]] = [[] for _ in range(self.agents)]
        palette = COLOURS[: max(2, self.agents // 2)]
        used: Counter[str] = Counter()
        for _ in range(total):
            colour = rng.choice([colour for colour in palette if used[colour] < MOST_OF_A_COLOUR])
            used[colour] += 1
            start, end = rng.sample(range(self.agents), 2)
            boxes[start].append(colour)
            targets[end].append(colour)
        columns = self.agents // rows
        return BoxesState(rows=rows, columns=columns, total=total, boxes=_sorted(boxes), targets=_sorted(targets))


def _sorted(things: list[list[str]]) -> Colours:
    return tuple(tuple(sorted(each)) for each in things)
