"""Choice: how many items to ask about at once and how often, what that was measured on, and how it is remembered."""

from __future__ import annotations

import math
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, NamedTuple

import msgspec

from ...orchestrator import Context
from .stopping import StopName
from .task import Task


class Way(NamedTuple):
    """How items are asked."""

    size: int
    """Most items of one prompt."""
    votes: int
    """Most rounds."""

    def __str__(self) -> str:
        return "singly" if self == SINGLY else f"{self.size} at once, {self.votes} vote{'s' * (self.votes > 1)}"


SINGLY = Way(1, 1)


@dataclass(frozen=True)
class Search:
    """Among which ways the cheapest is looked for, and how items are asked in each of them."""

    sizes: tuple[int, ...]
    votes: tuple[int, ...]
    floor: float
    """What part of single prompting's accuracy must be kept."""
    model: str
    last: str | None
    stop: StopName
    seed: int
    item: str
    """The template by which an item is shown."""


class Choice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The cheapest way that keeps the accuracy, as measured."""

    way: Way
    tokens: float
    """Prompt and completion tokens an item."""
    single: float
    """The same for single prompting."""
    kept: float
    """The lower bound of its accuracy, relative to single prompting's."""
    floor: float
    items: int
    labelled: bool
    sample: str
    """What tells the sample from others."""

    def __str__(self) -> str:
        sample = f"{self.items:,} items, {'labelled' if self.labelled else 'self-labelled'}"
        if self.way == SINGLY:
            return (
                f"asked singly: no other way was shown to keep {percent(self.floor)} of its accuracy for fewer tokens "
                f"({sample}), {self.tokens:.0f} tokens an item"
            )
        return (
            f"{self.way}: keeps at least {percent(self.kept)} of single prompting's accuracy ({sample}), "
            f"{self.tokens:.0f} tokens an item against {self.single:.0f}"
        )


def percent(part: float) -> str:
    """Rounded down, so that no figure reaches a floor that it is below."""
    return f"{math.floor(part * 1000 + 1e-9) / 10:g} %"


def key_of(ctx: Context, task: Task, search: Search, rest: Any) -> str:
    """What a choice is remembered by: the task, the models that answer, the search, and what else determines it."""
    models: list[Any] = []
    for role in filter(None, (search.model, search.last)):
        spec = ctx.flow.models.get(role)
        drawn = None if spec is None else (spec.temperature, spec.top_p, spec.seed, spec.extra)
        models.append((ctx.run.models[role].backend.model, drawn))
    text = msgspec.json.encode((task, models, search, rest))
    return f"batch-size/{blake2b(text, digest_size=16).hexdigest()}"


def recalled(ctx: Context, key: str) -> Choice | None:
    """The choice that was remembered, unless there is none that this version can read."""
    found = ctx.recall(key)
    try:
        return None if found is None else msgspec.convert(found, Choice)
    except msgspec.ValidationError:
        return None


def remember(ctx: Context, key: str, choice: Choice) -> None:
    """Keep a choice for later runs."""
    ctx.remember(key, msgspec.to_builtins(choice))
