"""World: what a flow says of a world (`world: {kind: boxes, agents: 4, seed: 3}`), and where kinds are found."""

from __future__ import annotations

import random
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema

from ...errors import FlowError
from ...orchestrator.build import part_reader
from ...orchestrator.part import Part, PartMark
from ...orchestrator.registry import Registry
from .state import HEADER, State

SLACK = 2
"""The limit of steps, as a multiple of the steps that the world's own policy takes."""
MOST_STEPS = 10_000
"""A policy that takes more does not solve its world."""


class World(Part):
    """One instance of a kind of world: the same fields make the same world."""

    state: ClassVar[type[State]]
    """What its states are."""

    agents: int = Field(default=4, ge=2, le=16, description="How many robots; they are robot1, robot2, ...")
    seed: int = Field(default=0, description="Which instance.")

    @abstractmethod
    def made(self, rng: random.Random) -> State:
        """The first state, its limit left open."""

    def start(self) -> State:
        """The first state; in twice as many steps as the policy takes, it must be solved."""
        first = self.made(random.Random(f"{self.kind} {self.agents} {self.seed}"))
        return replace(first, limit=SLACK * steps_of_policy(first))


def steps_of_policy(first: State) -> int:
    """In how many steps a world is solved by its own policy. Raises FlowError if it is not."""
    state = first
    while not state.solved:
        if state.step > MOST_STEPS:
            raise FlowError(f"the world {first.kind!r} is not solved by its own policy: mend the policy, or the world")
        state, _ = state.after(state.policy())
    return state.step - first.step


WORLDS: Registry[World] = Registry("world", "laconic.worlds")

WorldType = TypeVar("WorldType", bound=World)


def world(name: str) -> Callable[[type[WorldType]], type[WorldType]]:
    """Class decorator: make a World subclass known to flows as `world: name`."""
    return WORLDS.named(name)


def read_state(text: str) -> State:
    """The state that `brief` told, wherever it is in a text, indented or not. Raises ValueError if there is none."""
    text = "\n".join(line.strip() for line in text.splitlines())
    header = HEADER.search(text)
    if header is None:
        raise ValueError("there is no state of a world in it")
    state = WORLDS.find(header[1]).state.parsed(text[header.end() :])
    return replace(state, step=int(header[2]), limit=int(header[3]))


_read = part_reader(WORLDS)


def _of_written(written: Any) -> Any:
    return None if written is None else _read(written)


def _written(chosen: World | None) -> Mapping[str, Any] | None:
    return None if chosen is None else chosen.written()


WorldField = Annotated[
    World | None,
    PartMark(),
    BeforeValidator(_of_written),
    PlainSerializer(_written),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "object", "required": ["kind"]}, {"type": "null"}]}),
]
"""A field that may hold a world."""
