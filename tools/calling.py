"""Calling tools for a model: listing them, and calling one without failing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ..errors import BackendError, NodeError, ToolError
from ..orchestrator import Context, Tool

CHARACTERS_PER_TOKEN = 4
"""Roughly, in English. Caps on what tools return are cut by it: exact enough for a cap, and it asks no server."""


class ToolLine(NamedTuple):
    """A tool as a prompt lists it: `search[query]: what it gives`."""

    name: str
    argument_hint: str
    description: str


class Returned(NamedTuple):
    """What a tool call gave: its text, or a sentence that says how it failed."""

    text: str
    failed: bool = False


def tool_lines(tools: Mapping[str, Tool], names: Sequence[str]) -> list[ToolLine]:
    """The offered tools as a prompt lists them, each on one line."""
    return [ToolLine(name, tools[name].argument(), " ".join(tools[name].description.split())) for name in names]


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
