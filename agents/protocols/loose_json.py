"""A JSON object as small models write it, read where there is no doubt about what is meant."""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

_DECODER = json.JSONDecoder(strict=False)
_OPENING = re.compile(r"\{\s*(?:[\"'“`}]|[A-Za-z_][\w-]*\s*:)")
_KEY = re.compile(r"[\s,]*[\"'“`]?([A-Za-z_][\w-]*)[\"'”`]?\s*:\s*")
_BARE = re.compile(r"[^,}\n\"]*")
_WORDS = {"null": None, "none": None, "true": True, "false": False}
_CLOSING = {
    opening: re.compile(rf"(?<!\\){closing}(?=\s*,?\s*(?:\}}|```|\Z|[\"'“`]?[A-Za-z_][\w-]*[\"'”`]?\s*:))")
    for opening, closing in {'"': '"', "'": "'", "“": "”", "`": "`"}.items()
}
"""Where a string ends: at a quote with the end of the object or the next key behind it."""
MOST_BRACKETS = 200
"""In one message; one with more is not looked into."""


class Loose(NamedTuple):
    """The fields that were read, and the key of the one whose text does not end."""

    fields: dict[str, Any]
    cut: str | None = None


def read_object(text: str) -> Loose | None:
    """The first object in `text`; prose and fences around it are passed over. None if there is none that can be read.

    Single or curly quotes, keys without quotes, `None`, a comma too many or too few, quotes inside a string and a
    missing end are read as what they stand for.
    """
    opening = _OPENING.search(text)
    if opening is None or text.count("{") + text.count("[") > MOST_BRACKETS:
        return None
    try:
        return Loose(_DECODER.raw_decode(text, opening.start())[0])
    except ValueError:
        return _field_by_field(text, opening.start() + 1)


def _field_by_field(text: str, at: int) -> Loose | None:
    fields: dict[str, Any] = {}
    while key := _KEY.match(text, at):
        name, at = key[1], key.end()
        first = text[at : at + 1]
        if first in _CLOSING:
            end = _CLOSING[first].search(text, at + 1)
            fields[name] = _string(text[at + 1 : end.start() if end else None])
            if end is None:
                return Loose(fields, name)
            at = end.end()
        elif first in ("{", "["):
            try:
                fields[name], at = _DECODER.raw_decode(text, at)
            except ValueError:
                return None
        else:
            bare = _BARE.match(text, at)
            word = bare[0].strip() if bare else ""
            fields[name], at = _WORDS.get(word.lower(), word), at + len(bare[0] if bare else "")
            if at == len(text):
                return Loose(fields, name)
    rest = text[at:].lstrip(" \t\r\n,")
    return Loose(fields) if fields and (not rest or rest.startswith(("}", "```"))) else None


def _string(written: str) -> str:
    """A string's text from what stands between its quotes."""
    inside = re.sub(r"(?<!\\)\"", r"\"", written.replace("\\'", "'"))
    try:
        return str(json.loads(f'"{inside}"', strict=False))
    except ValueError:
        return written
