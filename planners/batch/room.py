"""How much fits in one prompt: the model's context and what is left of the budget, against instruction and items."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from ...backends.backend import Count
from ...errors import TokenizerUnavailable
from ...orchestrator import Context
from .shown import entry
from .task import Task

NUMBERING = 12
"""Most tokens that an item's number and the line break around it take in a prompt."""
INDENT = 2
"""Most tokens that the spaces before a further line of an item take."""


@dataclass(frozen=True)
class Room:
    """What there is room for, in tokens."""

    instruction: int | None
    """Prompt tokens of everything but the items; None where nothing can be counted."""
    context: int | None
    """What is left of the model's context beside the instruction; None for no limit that is known."""
    budget: int | None
    """What is left of the budget beside the instruction; None for no limit."""
    sizes: tuple[int, ...]
    """What each item takes at most, its answer included."""
    too_large: frozenset[int] = frozenset()
    """The items that do not even fit in the context by themselves."""

    @property
    def most(self) -> int | None:
        """The tighter of the two limits."""
        limits = [limit for limit in (self.context, self.budget) if limit is not None]
        return min(limits) if limits else None


async def room_for(ctx: Context, task: Task, texts: Sequence[str], model: str, most: int) -> Room:
    """The room in prompts of `model` for these items, of which at most `most` go into one.

    Items are counted only where they might not fit: a token is at least one byte of text, and mostly that is enough to
    know.
    """
    answer = task.reply_tokens(2) // 2 + NUMBERING
    sizes = [len(entry(1, text).encode("utf-8", "replace")) + answer for text in texts]
    try:
        instruction = (await ctx.count(task.turns(["", ""]), model=model)).tokens
    except TokenizerUnavailable:
        return Room(None, None, None, tuple(sizes))
    whole = (await ctx.facts(model)).context
    left = ctx.budget.left.tokens if ctx.budget is not None else None
    context = None if whole is None else max(0, whole - instruction)
    budget = None if left is None else max(0, left - instruction)
    room = Room(instruction, context, budget, tuple(sizes))
    if room.most is None or sum(sorted(sizes)[-most:]) <= room.most:
        return room
    counted = [count.tokens for count in await asyncio.gather(*(_counted(ctx, task, text, model) for text in texts))]
    frame = (await _counted(ctx, task, "", model)).tokens
    too_large = frozenset(
        item for item, tokens in enumerate(counted) if whole is not None and tokens + task.reply_tokens(1) > whole
    )
    sizes = [
        tokens - frame + INDENT * len(text.splitlines()) + answer for tokens, text in zip(counted, texts, strict=True)
    ]
    return Room(instruction, context, budget, tuple(sizes), too_large)


def _counted(ctx: Context, task: Task, text: str, model: str) -> Coroutine[Any, Any, Count]:
    return ctx.count(task.turns([text]), model=model)
