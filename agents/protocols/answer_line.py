"""The answer on a line of its own, `Answer: ...`: how it is read and written, and told apart from a text with one.

A line of the text that would be read as the answer is written with a backslash before it.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from ..protocol import Content

_LABEL = re.compile(r"[\s>-]*([*_`]*)(?:(?:the|my|final|short)\s+)*answer([*_`]*)\s*:", re.IGNORECASE)
_MARKS = ("**", "`", "*", "__", "_")

ASKED_FOR = 'Once you know the answer, end with a line that begins "Answer:" and gives it in a few words.'
"""What an agent is told about it."""

Reads = Callable[[str], str | None]
"""What a line gives as the answer; None if it gives none, "" if it is an answer line with nothing on it."""


def read_answer(line: str) -> str | None:
    """The answer on a line such as `Answer: x` or `**Final answer:** x`, without the markdown around it."""
    label = _LABEL.match(line)
    if label is None:
        return None
    answer = line[label.end() :].strip()
    opened = label[1]
    if opened and not label[2]:
        # Closed right behind the colon, or at the end of the line.
        closing = opened[::-1]
        answer = answer.removeprefix(closing) if answer.startswith(closing) else answer.removesuffix(closing)
    return _unwrapped(answer.strip())


def parted(text: str, reads: Reads) -> Content:
    """Text and answer of a message: the last line that gives one does.

    If the message ends with an empty answer line and one more, and no other gives an answer, that one is it.
    """
    lines: list[str] = []
    answer: str | None = None
    empty: int | None = None
    """How many lines stood before the last answer line, if there was nothing on it."""
    for line in Content(text).text.splitlines():
        plain = _unescaped(line, reads)
        found = reads(line) if plain is None else None
        if found is None:
            lines.append(line if plain is None else plain)
        elif found:
            answer, empty = found, None
        else:
            empty = len(lines)
    if answer is None and empty is not None and len(lines) == empty + 1:
        answer = _unwrapped(lines.pop().strip())
    return Content("\n".join(lines), answer)


def joined(content: Content, reads: Reads) -> str:
    """The message that is parted into this content."""
    lines = [_escaped(line, reads) for line in content.text.splitlines()]
    answer = content.answer
    if answer is not None:
        lines.append(f"Answer: {answer}" if _unwrapped(answer) == answer else f"Answer: `{answer}`")
    return "\n".join(lines)


def _escaped(line: str, reads: Reads) -> str:
    return line if reads(line.lstrip("\\")) is None else f"\\{line}"


def _unescaped(line: str, reads: Reads) -> str | None:
    return line[1:] if line.startswith("\\") and reads(line.lstrip("\\")) is not None else None


def _unwrapped(answer: str) -> str:
    """Without the markdown around the whole of it, one layer."""
    for mark in _MARKS:
        if len(answer) > 2 * len(mark) and answer.startswith(mark) and answer.endswith(mark):
            return answer[len(mark) : -len(mark)].strip() or answer
    return answer
