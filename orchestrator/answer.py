"""The short answer in what a model wrote: the text behind its last `Answer:`, without decoration."""

from __future__ import annotations

import re

import msgspec

from ..backends.request import Completion

_MARKER = re.compile(
    r"(?:^|(?<=[.!?])[ \t]+)[\s>*_`#-]*(?:(?:the|final|short)[ \t]+)*answer[*_`]*(?::|[ \t]+is:?(?=[ \t]))[*_`]*[ \t]*",
    re.IGNORECASE | re.MULTILINE,
)
_FENCE = re.compile(r"^\s*```.*$", re.MULTILINE)
_PAIRS = {'"': '"', "'": "'", "“": "”", "‘": "’", "«": "»", "`": "`"}
_ABBREVIATION = re.compile(r"(?:[\s.][^\W\d_]|\s(?:Jr|Sr|Inc|Ltd|Co|Corp|Bros|[ap]\.m))\.$", re.IGNORECASE)


def short_answer(text: str) -> str:
    """The answer in a model's final text.

    What stands behind the last marker (`Answer:`, `**Final answer:**`, `The answer is`, at the start of a line or of a
    sentence) up to the end of its line, or on the next line if nothing does; without a marker the last line that is not
    empty. Quotation marks, markdown and a closing full stop are taken away, the full stop of `U.S.` or `Jr.` is not.
    """
    text = _FENCE.sub("", text)
    markers = list(_MARKER.finditer(text))
    for marker in reversed(markers):
        for line in text[marker.end() :].splitlines():
            if line.strip():
                return unmarked(line)
    lines = [line for line in _MARKER.sub("\n", text).splitlines() if line.strip()]
    return unmarked(lines[-1]) if lines else ""


class Answered(msgspec.Struct, frozen=True):
    """What a model answered, and what was written for it as the beginning of that answer."""

    said: Completion
    lead_in: str = ""

    @property
    def short(self) -> str:
        """The short answer in it."""
        return short_answer(f"{self.lead_in} {self.said.text}")


def unmarked(text: str) -> str:
    """One line without enclosing markdown and quotation marks and without a closing full stop."""
    text = text.strip()
    while True:
        before = text
        for mark in ("***", "**", "__", "*", "_"):
            if len(text) > 2 * len(mark) and text.startswith(mark) and text.endswith(mark):
                text = text[len(mark) : -len(mark)].strip()
        if len(text) >= 2 and _PAIRS.get(text[0]) == text[-1] and text[0] not in text[1:-1]:
            text = text[1:-1].strip()
        if text.endswith(".") and not text.endswith("..") and not _ABBREVIATION.search(text):
            text = text[:-1].rstrip()
        if text == before:
            return text
