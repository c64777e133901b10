"""`kind: warehouse`: mobile robots on tracks fetch boxes and bring them to a goal, and must not run into each other."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import combinations
from typing import Self

from .grid import CELL, WAYS, Cell, beside, called, cell_called
from .routes import moved_together
from .state import State
from .world import World, world

PLACES = 5
"""Places on a track."""
_TRACKS = re.compile(r"^(\d+) tracks with places 1 to (\d+); (\d+) boxes in all, goals: (.+)\.$", re.MULTILINE)
_ROBOT = re.compile(rf"^robot\d+ at ({CELL}), (empty|loaded)$", re.MULTILINE)
_BOXES = re.compile(rf"^Boxes at: (-|{CELL}(?: {CELL})*)$", re.MULTILINE)


@dataclass(frozen=True)
class Robot:
    """Where a robot is, and whether it carries a box."""

    at: Cell
    loaded: bool = False


@dataclass(frozen=True, kw_only=True)
class WarehouseState(State):
    """Robots on tracks, and the boxes that still lie about."""

    kind = "warehouse"
    rules = (
        "Robots drive on tracks a, b, ... from west (place 1) to east; at both ends, and only there, a track is "
        "joined to the next one. Every box must be brought to a goal. In one step each robot may do one of: move "
        "north|east|south|west (to the next place), pick (the box at its place, if it is empty), drop (its box, at a "
        "goal), wait. Two robots may never be at one place after a step, nor swap places; a robot may drive to a "
        "place that another leaves. A plan that breaks a rule wastes the step."
    )

    tracks: int
    places: int
    total: int
    """Boxes at the beginning."""
    goals: tuple[Cell, ...]
    robots: tuple[Robot, ...]
    boxes: tuple[Cell, ...]
    """Where boxes lie, sorted; at most one at a place."""

    @property
    def agents(self) -> int:
        """The robots on the tracks."""
        return len(self.robots)

    @property
    def score(self) -> float:
        """The part of the boxes that is delivered."""
        return self._delivered / self.total

    def lines(self) -> list[str]:
        """A line for the tracks, one for each robot, and one for the boxes."""
        goals = " ".join(map(called, self.goals))
        robots = [
            f"{name} at {called(robot.at)}, {'loaded' if robot.loaded else 'empty'}"
            for name, robot in zip(self.names, self.robots, strict=True)
        ]
        return [
            f"{self.tracks} tracks with places 1 to {self.places}; {self.total} boxes in all, goals: {goals}.",
            *robots,
            f"Boxes at: {' '.join(map(called, self.boxes)) or '-'}",
        ]

    @classmethod
    def parsed(cls, text: str) -> Self:
        """The state whose lines are in `text`."""
        tracks, boxes = _TRACKS.search(text), _BOXES.search(text)
        if tracks is None or boxes is None:
            raise ValueError("there are no lines of tracks and boxes in it")
        return cls(
            tracks=int(tracks[1]),
            places=int(tracks[2]),
            total=int(tracks[3]),
            goals=_cells(tracks[4]),
            robots=tuple(
                Robot(cell_called(found[1]), found[2] == "loaded")
                for found in _ROBOT.finditer(text, tracks.end(), boxes.start())
            ),
            boxes=_cells(boxes[1]),
        )

    def options(self, name: str) -> list[str]:
        """To pick or drop, then the ways that are there, whoever stands there."""
        robot = self._robot(name)
        pick = ["pick"] if not robot.loaded and robot.at in self.boxes else []
        drop = ["drop"] if robot.loaded and robot.at in self.goals else []
        return [*pick, *drop, *(f"move {way}" for way in ways(robot.at, self.tracks, self.places))]

    def obstacle(self, name: str, action: str) -> str:
        """Nothing to pick, nowhere to drop, or no track on that side."""
        robot = self._robot(name)
        match action.split():
            case ["pick"]:
                return "it carries a box" if robot.loaded else f"there is no box at {called(robot.at)}"
            case ["drop"]:
                return f"{called(robot.at)} is no goal" if robot.loaded else "it carries no box"
            case ["move", way] if way in WAYS:
                return f"no track leads {way} from {called(robot.at)}"
        return ""

    def clashes(self, actions: Mapping[str, str]) -> list[str]:
        """Robots that would be at one place, or swap places."""
        after = {name: self._then(name, actions.get(name, "")) for name in self.names}
        found = []
        for one, other in combinations(self.names, 2):
            if after[one] == after[other]:
                found.append(f"{one} and {other} would both be at {called(after[one])}")
            elif (after[one], after[other]) == (self._robot(other).at, self._robot(one).at):
                found.append(f"{one} and {other} would swap places, {called(after[other])} and {called(after[one])}")
        return found

    def done(self, actions: Mapping[str, str]) -> tuple[Self, list[str]]:
        """Robots moved, boxes picked and dropped."""
        robots = tuple(
            Robot(self._then(name, actions.get(name, "")), _loaded(robot, actions.get(name, "")))
            for name, robot in zip(self.names, self.robots, strict=True)
        )
        picked = {self._robot(name).at for name, action in actions.items() if action == "pick"}
        return replace(self, robots=robots, boxes=tuple(cell for cell in self.boxes if cell not in picked)), []

    def progress(self) -> str:
        """Boxes that are delivered."""
        return f"{self._delivered} of {self.total} boxes are delivered"

    def policy(self) -> str:
        """Each robot heads for its nearest box or goal; who is nearest to its own goes first, the others make way."""
        aims = self._aims()
        fixed = [robot for robot, aim in aims.items() if self.robots[robot].at == aim]
        actions = {self.names[robot]: "drop" if self.robots[robot].loaded else "pick" for robot in fixed}
        cells = moved_together(
            [robot.at for robot in self.robots],
            aims,
            fixed,
            beside=lambda cell: list(ways(cell, self.tracks, self.places).values()),
            apart=self._apart,
        )
        for name, robot, cell in zip(self.names, self.robots, cells, strict=True):
            if cell != robot.at:
                way = next(way for way, there in ways(robot.at, self.tracks, self.places).items() if there == cell)
                actions[name] = f"move {way}"
        return self.write(actions)

    def _aims(self) -> dict[int, Cell]:
        """Where each robot that has something to do should go: goals, and boxes of which each has one robot."""
        aims = {
            number: min(self.goals, key=lambda goal: self._apart(robot.at, goal))
            for number, robot in enumerate(self.robots)
            if robot.loaded
        }
        pairs = sorted(
            (self._apart(robot.at, box), number, box)
            for number, robot in enumerate(self.robots)
            if not robot.loaded
            for box in self.boxes
        )
        for _, number, box in pairs:
            if number not in aims and box not in aims.values():
                aims[number] = box
        return aims

    def _apart(self, one: Cell, other: Cell) -> int:
        return _steps_from(other, self.tracks, self.places)[one]

    def _robot(self, name: str) -> Robot:
        return self.robots[self.names.index(name)]

    def _then(self, name: str, action: str) -> Cell:
        """Where a robot is after an action that it can do."""
        here = self._robot(name).at
        verb, _, way = action.partition(" ")
        return ways(here, self.tracks, self.places)[way] if verb == "move" else here

    @property
    def _delivered(self) -> int:
        return self.total - len(self.boxes) - sum(robot.loaded for robot in self.robots)


@world("warehouse")
class Warehouse(World):
    """As many boxes as robots; two tracks for two robots, and one more for every third robot."""

    state = WarehouseState

    def made(self, rng: random.Random) -> WarehouseState:
        """Robots and boxes anywhere, no box at a goal; the goals are the western ends of the outer tracks."""
        tracks = 2 + self.agents // 3
        goals = ((0, 0), (tracks - 1, 0))
        cells = [(track, place) for track in range(tracks) for place in range(PLACES)]
        return WarehouseState(
            tracks=tracks,
            places=PLACES,
            total=self.agents,
            goals=goals,
            robots=tuple(map(Robot, rng.sample(cells, self.agents))),
            boxes=tuple(sorted(rng.sample([cell for cell in cells if cell not in goals], self.agents))),
        )


def ways(cell: Cell, tracks: int, places: int) -> dict[str, Cell]:
    """The ways that lead on from a place, and where to."""
    at_end = cell[1] in (0, places - 1)
    return {way: there for way, there in beside(cell, tracks, places) if at_end or way in ("east", "west")}


@lru_cache(maxsize=512)
def _steps_from(start: Cell, tracks: int, places: int) -> dict[Cell, int]:
    """How many steps it is from `start` to every place."""
    steps = {start: 0}
    reached = [start]
    for cell in reached:
        for there in ways(cell, tracks, places).values():
            if there not in steps:
                steps[there] = steps[cell] + 1
                reached.append(there)
    return steps


def _loaded(robot: Robot, action: str) -> bool:
    return action == "pick" or (robot.loaded and action != "drop")


def _cells(names: str) -> tuple[Cell, ...]:
    return tuple(cell_called(name) for name in names.replace("-", "").split())
