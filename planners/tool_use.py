"""What planners that call tools have in common: listing them, fitting examples to them, calling one without failing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from ..errors import BackendError, NodeError, ToolError
from ..orchestrator import Context, Tool
from .exemplars import EXEMPLARS, Exemplar
from .prompts import ToolLine

Examples = bool | tuple[Exemplar, ...]
"""What a node may say about examples: the built-in ones, none, or its own."""

CHARACTERS_PER_TOKEN = 4
"""Roughly, in English. Caps on what tools return are cut by it: exact enough for a cap, and it asks no server."""


class Returned(NamedTuple):
    """What a tool call gave: its text, or a sentence that says how it failed."""

    text: str
    failed: bool = False


def tool_lines(tools: Mapping[str, Tool], names: Sequence[str]) -> list[ToolLine]:
    """The offered tools as a prompt lists them, each on one line."""
    return [ToolLine(name, tools[name].argument(), " ".join(tools[name].description.split())) for name in names]


def fitting(examples: Examples, tools: Mapping[str, Tool], names: Sequence[str]) -> tuple[Exemplar, ...]:
    """The examples that use only offered tools, which they call by kind or by name, under the names they have here.

    An example with a tool that is not offered would teach the model to call it.
    """
    if isinstance(examples, bool):
        examples = EXEMPLARS if examples else ()
    offered = {tools[name].kind: name for name in reversed(names)} | {name: name for name in names}
    return tuple(
        replace(exemplar, steps=tuple(replace(step, tool=offered[step.tool]) for step in exemplar.steps))
        for exemplar in examples
        if all(step.tool in offered for step in exemplar.steps)
    )


async def call_tool(ctx: Context, names: Sequence[str], tool: str, argument: str, *, most_tokens: int) -> Returned:
    """Call a tool if it is offered; a tool that is not, or that fails, gives text that says so.

    Errors that are no tool's fault (a budget's end, a wrong flow) pass through.
    """
    if tool not in names:
        return Returned(f"There is no tool {tool!r}. There are: {', '.join(names)}.", failed=True)
    try:
        value = await ctx.tool(tool, argument)
    except (ToolError, BackendError, NodeError) as error:
        ctx.note(f"{tool}: {error}")
        return Returned(f"Error: {shorten(str(error), most_tokens)}", failed=True)
    return Returned(shorten(str(value), most_tokens))


def shorten(text: str, tokens: int) -> str:
    """About the first `tokens` tokens of a text, cut behind a word, "…" showing the cut."""
    text = text.strip()
    most = tokens * CHARACTERS_PER_TOKEN
    if len(text) <= most:
        return text
    cut = max(text.rfind(" ", 0, most), text.rfind("\n", 0, most))
    return text[: cut if cut > 0 else most - 1].rstrip() + "…"
