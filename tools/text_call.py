"""The text form of a tool call, `tool[input]`, as plans and traces write it.

Plans (`planners/plan.py`), traces (`planners/trace.py`) and agents (`agents/`) read it. Tolerates what small models
write instead: `tool("input")`, `tool(query="input")`, markdown around the call, another case of the name, a missing
last bracket.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

_NAME = re.compile(r"[\s*`_]*([A-Za-z][\w-]*)[*`]*[ \t]*")
_KEYWORD = re.compile(r"\s*[A-Za-z_]\w*\s*=\s*(?=[\"'])")
_CLOSING = {"[": "]", "(": ")"}
_QUOTES = {'"': '"', "'": "'", "“": "”", "`": "`"}


@dataclass(frozen=True, slots=True)
class Call:
    """A tool's name and the text of its one argument. `closed` tells whether the closing bracket was there."""

    tool: str
    argument: str
    closed: bool = True


def read_call(text: str, tools: Collection[str] = ()) -> Call | None:
    """The call that `text` starts with, or None if it starts with none.

    A name without brackets is a call only if it is one of `tools`; the rest of its first line is then the argument. A
    name that is one of `tools` in another case gets the spelling of `tools`; any other name is kept as written.
    """
    match = _NAME.match(text)
    if match is None:
        return None
    tool, rest = canonical(match[1], tools), text[match.end() :]
    if rest[:1] in _CLOSING:
        end = _end_of_argument(rest)
        inner = rest[1:end] if end is not None else rest[1:].split("\n", 1)[0]
        if rest[0] == "(":
            inner = _KEYWORD.sub("", inner, count=1)
        return Call(tool, _unquoted(inner.strip()), end is not None)
    if tool in tools:
        return Call(tool, _unquoted(rest.split("\n", 1)[0].strip(" \t:*`")))
    return None


def canonical(name: str, tools: Collection[str]) -> str:
    """`name` in the spelling of `tools` if it is one of them in any case; otherwise as it is."""
    if name in tools:
        return name
    return next((tool for tool in tools if tool.casefold() == name.casefold()), name)


def _end_of_argument(text: str) -> int | None:
    """Where the bracket closes that `text` opens with: the first one behind which the brackets balance.

    So `f[a[0] b]` and `f[x ]y]` end at their last bracket, `f[x] (see [1])` at its first. None if nothing closes it.
    """
    opening, closing = text[0], _CLOSING[text[0]]
    unmatched = 0  # closing brackets, from the right, that no opening one has met yet
    end: int | None = None
    for position in range(len(text) - 1, 0, -1):
        if text[position] == closing:
            if unmatched == 0:
                end = position
            unmatched += 1
        elif text[position] == opening and unmatched:
            unmatched -= 1
    return end


def _unquoted(text: str) -> str:
    """Without the quotation marks, if a single pair of them encloses the whole text."""
    if len(text) >= 2 and _QUOTES.get(text[0]) == text[-1]:
        inner = text[1:-1]
        if text[0] not in inner and text[-1] not in inner:
            return inner.strip()
    return text
