"""Expressions as KQML writes them, `(ask :content "who?")`: read where there is no doubt, written in one way."""

from __future__ import annotations

import re
from dataclasses import dataclass

_HEAD = re.compile(r"\(\s*([A-Za-z][\w-]*)")
_BARE = re.compile(r"\s*([A-Za-z][\w-]*)(?=\s+:[A-Za-z])")
"""An expression of which a small model left out the brackets."""
_KEY = re.compile(r"\s*:([A-Za-z][\w-]*)(?=[\s\"'(“)]|\Z)")
_NEXT = re.compile(r"\s(?=:[A-Za-z][\w-]*(?:[\s\"'(“)]|\Z))|\)")
"""Where a value without quotes ends."""
_ATOM = re.compile(r"[^\s()\"'“”\\:;`]+")
_QUOTES = {'"': '"', "'": "'", "“": "”"}
_ESCAPES = {"n": "\n", "t": "\t"}
_BREAK = re.compile("\r\n|[\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")


@dataclass(frozen=True)
class Expression:
    """A performative and its parameters, in lower case, in the order in which they were written."""

    performative: str
    parameters: tuple[tuple[str, str], ...] = ()
    cut: str | None = None
    """The parameter whose quoted value does not end."""

    def get(self, key: str) -> str | None:
        """The last value of a parameter."""
        return next((value for name, value in reversed(self.parameters) if name == key), None)

    def write(self) -> str:
        """Values stand without quotes where they are one word or a list of their own."""
        return f"({' '.join([self.performative, *(f':{key} {_written(value)}' for key, value in self.parameters)])})"


def read_expression(text: str, known: frozenset[str]) -> Expression | None:
    """The first expression in `text` that has a parameter or whose performative is `known`; None if there is none.

    A value right behind the performative is its content; the last bracket may be missing, or,
    where the text begins with a performative that is `known`, both.
    """
    text = _BREAK.sub("\n", text)
    for head in _HEAD.finditer(text):
        performative, at = head[1].lower(), head.end()
        if performative in known or _KEY.match(text, at):
            return _read(performative, text, at)
    bare = _BARE.match(text)
    if bare is not None and bare[1].lower() in known:
        return _read(bare[1].lower(), text, bare.end())
    return None


def _read(performative: str, text: str, at: int) -> Expression:
    parameters: list[tuple[str, str]] = []
    while True:
        key = _KEY.match(text, at)
        at = key.end() if key else at
        at += len(text[at:]) - len(text[at:].lstrip())
        name = key[1].lower() if key else "content"
        first = text[at : at + 1]
        if not first or first == ")":
            if key:
                parameters.append((name, ""))
            return Expression(performative, tuple(parameters))
        if first in _QUOTES:
            end = _end_of_string(text, at)
            parameters.append((name, _unquoted(text[at + 1 : end])))
            if end is None:
                return Expression(performative, tuple(parameters), name)
            at = end + 1
        elif first == "(" and (end := _end_of_list(text, at)) is not None:
            parameters.append((name, text[at:end]))
            at = end
        elif key and _KEY.match(text, at):
            parameters.append((name, ""))
        else:
            following = _NEXT.search(text, at)
            end = following.start() if following else len(text)
            parameters.append((name, text[at:end].strip()))
            at = end


def _end_of_string(text: str, at: int) -> int | None:
    closing = _QUOTES[text[at]]
    place = at + 1
    while place < len(text):
        if text[place] == "\\":
            place += 1
        elif text[place] == closing and (closing == '"' or not text[place + 1 : place + 2].isalnum()):
            return place  # an apostrophe inside a word ends nothing
        place += 1
    return None


def _end_of_list(text: str, at: int) -> int | None:
    """Behind the bracket that closes the one at `at`; those in quotation marks do not count."""
    depth, place = 0, at
    while place < len(text):
        if text[place] == '"':
            end = _end_of_string(text, place)
            if end is None:
                return None
            place = end
        elif text[place] in "()":
            depth += 1 if text[place] == "(" else -1
            if depth == 0:
                return place + 1
        place += 1
    return None


def _unquoted(inside: str) -> str:
    return re.sub(r"\\(.)", lambda escape: _ESCAPES.get(escape[1], escape[1]), inside, flags=re.DOTALL)


def _written(value: str) -> str:
    if _ATOM.fullmatch(value) or (value[:1] == "(" and "\n" not in value and _end_of_list(value, 0) == len(value)):
        return value
    inside = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{inside}"'
