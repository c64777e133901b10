"""Reading what a model answered to a batch: by the numbers in its lines or JSON, never by their order.

A number that is missing, occurs twice, or whose answer is none of the labels, is an abstention: that item has no answer
in this round. Numbers that were not asked for are passed over.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from ...orchestrator.answer import unmarked

_LINE = re.compile(
    r"[\s>*_`-]*+(?:input|answer|label|item)?[\s#\[(]*+(\d{1,9})[*_`]*+\s*+"
    r"(?:[:=]|\.(?!\d)[:)]?|[\])]+[*_`]*+\s*[:=]?|[–—-]+(?=\s))[*_`]*+\s*+(\S.*)",
    re.IGNORECASE | re.DOTALL,
)
"""The number of an item, a mark, and what is said of it. A sign or a point before a digit belongs to the answer."""
_ANNOUNCED = re.compile(r"\s*(?:(?:the\s+)?(?:final\s+)?(?:answer|label)|(?:input\s+)?1)\s*:\s*", re.IGNORECASE)
_DOUBT = re.compile(
    r"[\s,;:(\[*_`-](sure|unsure|not sure|confident|unconfident|not confident)[\s.)\]*_`]*\Z", re.IGNORECASE
)
_ENDS = re.compile(r"\s*[.,;:!)\]}]+(?:\s+|$)|\s*(?=[(\[{])|\s+[–—-]+\s+")
"""What may stand between a label and words that explain it."""
_OPENS = " \t([{\"'"
"""What such words may begin with."""


class _Object(list[tuple[str, Any]]):
    """The members of a JSON object, those with the same name as well."""


class Said(NamedTuple):
    """What was said of one number."""

    label: str
    sure: bool | None
    """None where the model did not say."""
    start: int
    """Where the label begins in the reply; -1 where that cannot be told."""
    end: int


def read_lines(text: str, labels: Sequence[str] | None, doubts: bool = False) -> dict[int, Said]:
    """The answers in lines such as `7: yes`, or `7: yes, unsure` where `doubts` are to be told."""
    found: list[tuple[int, Said | None]] = []
    place = 0
    for line in text.splitlines(keepends=True):
        match = _LINE.match(line)
        if match is not None:
            found.append((int(match[1]), _said(match[2].rstrip(), labels, place + match.start(2), doubts)))
        place += len(line)
    return _once(found)


def read_json(text: str, labels: Sequence[str] | None, doubts: bool = False) -> dict[int, Said]:
    """The answers in an object such as `{"7": "yes"}` or `{"7": {"label": "yes", "sure": false}}`.

    What surrounds the object, such as a fence, is passed over; of one that was cut off nothing can be used.
    """
    begin, end = text.find("{"), text.rfind("}")
    try:
        members = json.loads(text[begin : end + 1], object_pairs_hook=_Object) if begin >= 0 else _Object()
    except (ValueError, RecursionError):
        members = _Object()
    numbered = ((key, value) for key, value in members if key.isascii() and key.isdigit() and len(key) < 10)
    return _once([(int(key), _member(value, labels, doubts)) for key, value in numbered])


def read_single(text: str, labels: Sequence[str] | None, doubts: bool = False) -> Said | None:
    """The answer of a prompt that asked about one item: its first line that holds something, behind `Answer:` or `1:`.

    A fence around it is passed over.
    """
    place = 0
    for line in text.splitlines(keepends=True):
        said = line.strip()
        if said and not said.startswith("```"):
            announced = _ANNOUNCED.match(line)
            start = announced.end() if announced is not None and line[announced.end() :].strip() else 0
            rest = line[start:]
            return _said(rest.strip(), labels, place + start + len(rest) - len(rest.lstrip()), doubts)
        place += len(line)
    return None


def label_of(text: str, labels: Collection[str]) -> str | None:
    """The label that `text` is, or that it begins with if an explanation follows behind a mark; the longest such one.

    `no idea` is not the label `no`, `yes, no` is neither, and `not spam (an advert)` is `not spam`, even if `spam` and
    `not` are labels too.
    """
    found = _beginning(plain(text), labels)
    if found is None:
        return None
    label, rest = found
    return label if _beginning(rest.lstrip(_OPENS), labels) is None else None


def _beginning(said: str, labels: Collection[str]) -> tuple[str, str] | None:
    """The longest label that `said` is or begins with, and what follows it behind a mark."""
    for label in sorted(labels, key=len, reverse=True):
        name = plain(label)
        if said == name:
            return label, ""
        mark = _ENDS.match(said, len(name)) if said.startswith(name) else None
        if mark is not None:
            return label, said[mark.end() :]
    return None


def plain(text: str) -> str:
    """What tells one label from another: without marks around it, and whatever its case."""
    return unmarked(text).casefold()


def _said(text: str, labels: Sequence[str] | None, start: int, doubts: bool) -> Said | None:
    sure: bool | None = None
    doubt = _DOUBT.search(text) if doubts else None
    if doubt is not None:
        before = text[: doubt.start()].rstrip(" \t,;:([*_`-")
        if before and (labels is None or label_of(before, labels) is not None):
            text, sure = before, doubt[1].casefold() in ("sure", "confident")
    label = label_of(text, labels) if labels is not None else unmarked(text)
    if not label:
        return None
    inside = text.lower().find(label.lower()) if start >= 0 else -1
    return Said(label, sure, start + inside, start + inside + len(label)) if inside >= 0 else Said(label, sure, -1, -1)


def _member(value: Any, labels: Sequence[str] | None, doubts: bool) -> Said | None:
    sure: bool | None = None
    if isinstance(value, _Object):
        names = dict(value)
        if len(names) < len(value):
            return None
        sure = names.get("sure") if isinstance(names.get("sure"), bool) else None
        value = names.get("label")
    if not isinstance(value, (str, int, float)):
        return None
    said = _said(str(value), labels, -1, doubts)
    return None if said is None else Said(said.label, sure if sure is not None else said.sure, -1, -1)


def _once(found: Sequence[tuple[int, Said | None]]) -> dict[int, Said]:
    """Those numbers that occur once and have an answer."""
    often = Counter(number for number, _ in found)
    return {number: said for number, said in found if said is not None and often[number] == 1}
