"""Ranking many passages with a model: windows slide over them from the bottom to the top, each ranked by one token."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Self

from pydantic import Field, model_validator

from ..orchestrator.context import Context
from ..orchestrator.node import ModelRole
from ..orchestrator.one_token import most_labels
from ..orchestrator.part import Part
from ..orchestrator.verdict import IDENTIFIERS
from .listwise import Listwise

Judged = Callable[[Listwise, int, Sequence[int]], Awaitable[list[int]]]
"""From who judges, the number of a window and the places in it to the same places, best first."""


class RankingOptions(Part):
    """How a list is ranked, as a flow says it."""

    model: ModelRole = Field(default="large", description="The role that ranks.")
    window: int = Field(
        default=20,
        ge=2,
        le=len(IDENTIFIERS),
        description="Most passages of one prompt; fewer where the server gives too few logprobs to tell them apart.",
    )
    step: int = Field(
        default=10,
        ge=1,
        description="How far one window is above the one before; the best `window` - `step` of all are found.",
    )
    permutations: int = Field(
        default=1,
        ge=1,
        le=len(IDENTIFIERS),
        description="In how many orders each window is shown, each a call; evens out that models favour places.",
    )
    max_chars: int = Field(default=600, ge=20, description="Most characters of a passage that the model sees.")

    @model_validator(mode="after")
    def _windows_overlap(self) -> Self:
        if self.step >= self.window:
            raise ValueError(f"step: windows must overlap; give less than the window ({self.window}), not {self.step}")
        return self


async def rank(
    ctx: Context, query: str, passages: Sequence[str], options: RankingOptions, judged: Judged | None = None
) -> list[int]:
    """The places of `passages` in the list, each once, those first that help most to answer `query`.

    The windows are ranked one after the other, each by `judged`; if that is None, in calls of one token that are booked
    under the node of `ctx` with the purpose `rank`. Passages that look the same are shown once and stay together;
    fewer than two different ones need no call. Raises what a call raises.
    """
    judge = Listwise.of(query, passages, options.model, options.permutations, options.max_chars)
    alike: dict[str, list[int]] = {}
    for place, passage in enumerate(judge.passages):
        alike.setdefault(passage, []).append(place)
    order = [places[0] for places in alike.values()]
    if len(order) > 1:
        window, step = await _fitting(ctx, options, len(order))
        for number, (start, end) in enumerate(spans(len(order), window, step), start=1):
            places = order[start:end]
            order[start:end] = await (judge.ordered(ctx, places) if judged is None else judged(judge, number, places))
    return [place for first in order for place in alike[judge.passages[first]]]


def spans(number: int, window: int, step: int) -> list[tuple[int, int]]:
    """Where the windows over `number` places begin and end: the first at the bottom, the last at the top.

    Every place is in one of them, and two neighbours share `window` - `step` places.
    """
    end = number
    found = [(max(0, end - window), end)]
    while found[-1][0] > 0:
        end -= step
        found.append((max(0, end - window), end))
    return found


async def _fitting(ctx: Context, options: RankingOptions, number: int) -> tuple[int, int]:
    """Window and step, in proportion smaller where the server's logprobs cannot tell so many passages apart."""
    window, step = options.window, options.step
    most = most_labels(await ctx.facts(options.model))
    if most >= min(window, number):
        return window, step
    ctx.note(f"windows of {most} passages, not {window}: the server of {options.model} gives too few logprobs for more")
    return most, max(1, step * most // window)
