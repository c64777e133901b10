"""How much fits in one prompt: the model's context and what is left of the budget, against instruction and items."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from ...errors import TokenizerUnavailable
from ...orchestrator import Context
from .task import Task

NUMBERING = 12
"""Most tokens that an item's number and the line break around it take in a prompt."""


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

    @property
    def most(self) -> int | None:
        """The tighter of the two limits."""
        limits = [limit for limit in (self.context, self.budget) if limit is not None]
        return min(limits) if limits else None

    def too_large(self, item: int) -> bool:
        """Whether an item does not even fit in the context by itself."""
        return self.context is not None and self.sizes[item] > self.context


async def room_for(ctx: Context, task: Task, texts: Sequence[str], model: str, most: int) -> Room:
    """The room in prompts of `model` for these items, of which at most `most` go into one.

    Items are counted only where they might not fit: a token is at least one byte of text, and mostly that is enough to
    know.
    """
    answer = task.reply_tokens(2) // 2 + NUMBERING
    sizes = [len(text.encode("utf-8", "replace")) + answer for text in texts]
    try:
        instruction = (await ctx.count(task.turns(["", ""]), model=model)).tokens
    except TokenizerUnavailable:
        return Room(None, None, None, tuple(sizes))
    whole = (await ctx.facts(model)).context
    left = ctx.budget.left.tokens if ctx.budget is not None else None
    context = None if whole is None else max(0, whole - instruction)
    budget = None if left is None else max(0, left - instruction)
    room = Room(instruction, context, budget, tuple(sizes))
    if room.most is not None and sum(sorted(sizes)[-most:]) > room.most:
        alone = (await ctx.count(task.turns([""]), model=model)).tokens
        counted = await asyncio.gather(*(ctx.count(task.turns([text]), model=model) for text in texts))
        sizes = [count.tokens - alone + answer for count in counted]
    return Room(instruction, context, budget, tuple(sizes))
