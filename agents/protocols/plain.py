"""`protocol: plain`: ordinary language, and `concise`, which only adds that few words should be used.

What a compact form saves beyond `concise` is the form's doing; what `concise` saves is brevity's.
"""

from __future__ import annotations

import re

from ...errors import MessageError
from ..protocol import Content, Protocol, protocol
from .answer_line import ASKED_FOR, joined, parted, read_answer

_INSIDE = re.compile(
    r"(?<=[.!?;])([ \t]+)(\\*)(?=[*_`]*(?:(?:the|my|final|short)[ \t]+)*answer[*_`]*[ \t]*:)", re.IGNORECASE
)
"""Where an answer begins behind a sentence, in the same line: small models write it so. Backslashes before it say that
it is text."""
EMPTY = "the message is empty: say what the others need, or give the answer"


@protocol("plain")
class Plain(Protocol):
    """Ordinary language; a last line `Answer: ...` once the answer is known."""

    answering = 'end with the line "Answer: ..."'

    def instruction(self) -> str:
        """The place of the answer is all that is asked for."""
        return f"Write your message to the others in plain language. {ASKED_FOR}"

    def parse(self, text: str) -> Content:
        """The last answer line is the answer; the rest is the text."""
        content = parted(_INSIDE.sub(_on_its_own_line, text), read_answer)
        if not content:
            raise MessageError(EMPTY)
        return content

    def encode(self, content: Content) -> str:
        """The text, and the answer on a line of its own."""
        return _INSIDE.sub(r"\1\\\2", joined(content, read_answer))


@protocol("concise")
class Concise(Plain):
    """Ordinary language in as few words as possible: the control for every compact form."""

    def instruction(self) -> str:
        """The form of `plain`, and brevity."""
        return (
            f"{super().instruction()} Use as few words as possible: no greetings, no repetition, only what is needed."
        )


def _on_its_own_line(found: re.Match[str]) -> str:
    """A line break where an answer begins; one backslash fewer where a text only looks like it."""
    return f"{found[1]}{found[2][1:]}" if found[2] else "\n"
