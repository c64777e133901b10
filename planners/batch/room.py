"""How much fits in one prompt: the model's context, against instruction, items and answers."""

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
    sizes: tuple[int, ...]
    """What each item takes at most, its answer included."""
    too_large: frozenset[int] = frozenset()
    """The items that do not even fit in the context by themselves."""


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
        return Room(None, None, tuple(sizes))
    whole = (await ctx.facts(model)).context
    context = None if whole is None else max(0, whole - instruction)
    if context is None or sum(sorted(sizes)[-most:]) <= context:
        return Room(instruction, context, tuple(sizes))
    counted = [count.tokens for count in await asyncio.gather(*(_counted(ctx, task, text, model) for text in texts))]
    frame = (await _counted(ctx, task, "", model)).tokens
    too_large = frozenset(
        item for item, tokens in enumerate(counted) if whole is not None and tokens + task.reply_tokens(1) > whole
    )
    sizes = [
        tokens - frame + INDENT * len(text.splitlines()) + answer for tokens, text in zip(counted, texts, strict=True)
    ]
    return Room(instruction, context, tuple(sizes), too_large)


def _counted(ctx: Context, task: Task, text: str, model: str) -> Coroutine[Any, Any, Count]:
    return ctx.count(task.turns([text]), model=model)
