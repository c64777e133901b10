"""`protocol: keyvalue`: a message is lines `key: value`; the key `answer` is the answer's."""

from __future__ import annotations

import re

from ...errors import MessageError
from ..protocol import Content, Protocol, protocol
from .answer_line import joined, parted, read_answer
from .plain import EMPTY

MOST_WORDS = 6
"""Of a key; what stands before a colon and has more is a sentence."""
_BEFORE = re.compile(r"(?:[-•>](?=\s)|[\s*_`\"'])+")
"""Bullets, markdown and quotes before a key."""
_AFTER = " \t*_`\"'"
_ANSWER = ("answer", "final answer", "the answer")


@protocol("keyvalue")
class KeyValue(Protocol):
    """One fact a line, under a key that its writer chooses."""

    answering = 'end with the line "answer: ..."'

    def instruction(self) -> str:
        """The lines, and the reserved key."""
        return (
            "Write your message to the others as lines of the form key: value, with short keys and values and no "
            'sentences. Once you know the answer, end with a line with the key "answer".'
        )

    def parse(self, text: str) -> Content:
        """Bullets and quotes around keys are dropped; a line without a key belongs to the value before it."""
        content = parted(text, _answer)
        pairs: list[str] = []
        for line in content.text.splitlines():
            pair = _pair(line)
            if line.startswith("```") or not line.strip(" {},"):
                continue  # what encloses the lines
            if pair is not None:
                pairs.append(f"{pair[0]}: {pair[1]}".rstrip())
            elif pairs:
                pairs[-1] += f"{'' if pairs[-1].endswith(':') else ';'} {_BEFORE.sub('', line, count=1)}"
            else:
                raise MessageError("its first line has no key; every line has the form key: value")
        content = Content("\n".join(pairs), content.answer)
        if not content:
            raise MessageError(EMPTY)
        return content

    def encode(self, content: Content) -> str:
        """A line for each pair. Raises MessageError for a text that does not consist of such lines."""
        written = joined(content, _answer)
        if self.parse(written) != content:
            raise MessageError("every line has the form key: value")
        return written


def _pair(line: str) -> tuple[str, str] | None:
    """Key and value of a line, without bullets and what encloses them; None if it has no key."""
    before = _BEFORE.match(line)
    around = before[0].strip(" \t-•>") if before else ""
    key, colon, value = line[before.end() if before else 0 :].partition(":")
    key, value = key.rstrip(_AFTER), value.strip()
    if not colon or not key or len(key.split()) > MOST_WORDS:
        return None
    if around.strip("*_`"):  # a quote: as in JSON
        value = value.rstrip(" ,").strip("\"'")
    elif around:
        value = value.removeprefix(around[::-1]).strip()
    return key, value


def _answer(line: str) -> str | None:
    pair = _pair(line)
    return read_answer(f"Answer: {pair[1]}") if pair is not None and pair[0].lower() in _ANSWER else None
