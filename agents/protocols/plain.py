"""`protocol: plain`: ordinary language, and `concise`, which only adds that few words should be used.

What a compact form saves beyond `concise` is the form's doing; what `concise` saves is brevity's.
"""

from __future__ import annotations

from ...errors import MessageError
from ..protocol import Content, Protocol, protocol
from .answer_line import ASKED_FOR, joined, parted, read_answer

EMPTY = "the message is empty: say what the others need, or give the answer"


@protocol("plain")
class Plain(Protocol):
    """Ordinary language; a last line `Answer: ...` once the answer is known."""

    def instruction(self) -> str:
        """The place of the answer is all that is asked for."""
        return f"Write your message to the others in plain language. {ASKED_FOR}"

    def parse(self, text: str) -> Content:
        """The last answer line is the answer; the rest is the text."""
        content = parted(text, read_answer)
        if not content:
            raise MessageError(EMPTY)
        return content

    def encode(self, content: Content) -> str:
        """The text, and the answer on a line of its own."""
        return joined(content, read_answer)


@protocol("concise")
class Concise(Plain):
    """Ordinary language in as few words as possible: the control for every compact form."""

    def instruction(self) -> str:
        """The form of `plain`, and brevity."""
        return (
            f"{super().instruction()} Use as few words as possible: no greetings, no repetition, only what is needed."
        )
