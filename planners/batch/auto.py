"""Auto: the way to ask that is remembered for a task and its model, or else found out on a sample."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from random import Random

from ...orchestrator import Context
from .bound import items_needed
from .choice import SINGLY, Search, key_of, recalled, remember
from .room import room_for
from .rounds import Round
from .sizing import Sized, Sizing, too_small
from .task import Task
from .trial import Sample

SIZES = (2, 4, 8, 16, 32, 64)
VOTES = (1, 3, 5)


async def sized(
    ctx: Context,
    task: Task,
    search: Search,
    texts: Sequence[str],
    labelled: Mapping[str, str] | None,
    most: int,
) -> Sized:
    """How to ask about `texts`. Measured on those `labelled` with their right answers, else on `most` of the texts
    themselves, whose answers from single prompting are then in the result.

    Child: `calibration`, if there is anything to measure.
    """
    key = key_of(ctx, task, search, most if labelled is None else sorted(labelled.items()))
    known = recalled(ctx, key)
    pool = list(texts if labelled is None else labelled)
    room = await room_for(ctx, task, pool, search.model, max(search.sizes))
    items = [item for item in range(len(pool)) if item not in room.too_large]
    if labelled is None:
        items = sorted(Random(f"{search.seed}/calibration").sample(items, min(most, len(items))))
    sample = Sample(task, {item: pool[item] for item in items}, room, search)
    if known is not None:
        if labelled is None and ctx.reuses and known.sample == sample.mark:
            # The run that measured it, resumed: the answers to the sample are there, and the rest is packed as it was.
            return await _measured(ctx, Sizing(sample=sample, right=None, known=known))
        return Sized(known.way, remarks=(f"{known}; remembered from an earlier measurement",))
    needed = items_needed(search.floor)
    if len(items) < needed:
        return Sized(SINGLY, remarks=(too_small(search.floor, len(items), needed),))
    if labelled is None and len(items) == len(texts):
        return Sized(SINGLY, remarks=(_nothing_to_gain(len(items), needed),))
    right = None if labelled is None else {item: labelled[pool[item]] for item in items}
    found = await _measured(ctx, Sizing(sample=sample, right=right))
    if found.choice is not None:
        remember(ctx, key, found.choice)
    return found if labelled is None else dataclasses.replace(found, singly=Round({}))


async def _measured(ctx: Context, sizing: Sizing) -> Sized:
    found: Sized = (await ctx.expand({"calibration": sizing}))["calibration"]
    return found


def _nothing_to_gain(items: int, needed: int) -> str:
    return (
        f"asked singly: the list has no items beyond a sample of {items:,}, so that measuring would save nothing; give "
        f"a `calibration` file, or fewer `calibration_items` ({needed:,} are enough if no answer differs)"
    )
