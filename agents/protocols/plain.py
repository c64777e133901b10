"""`protocol: plain`: ordinary language, and `concise`, which only adds that few words should be used.

What a compact form saves beyond `concise` is the form's doing; what `concise` saves is brevity's.
"""

from __future__ import annotations

import re

from ...errors import MessageError
from ..protocol import Content, Protocol, protocol

ANSWER = re.compile(
    r"^[ \t>*_`-]*(?:final[ \t]+)?answer[*_`]*[ \t]*:[*_` \t]*(.*?)[*_` \t]*$", re.IGNORECASE | re.MULTILINE
)
"""A line that gives the answer."""


@protocol("plain")
class Plain(Protocol):
    """Ordinary language; a last line `Answer: ...` once the answer is known."""

    def instruction(self) -> str:
        """The place of the answer is all that is asked for."""
        return (
            "Write your message to the others in plain language. "
            'Once you know the answer, end with a line "Answer: <the answer in a few words>".'
        )

    def parse(self, text: str) -> Content:
        """The last answer line is the answer; the rest is the text."""
        found = [match for match in ANSWER.finditer(text) if match[1]]
        rest = ANSWER.sub("", text)
        content = Content(
            "\n".join(line.rstrip() for line in rest.splitlines() if line.strip()), found[-1][1] if found else None
        )
        if not content.text and content.answer is None:
            raise MessageError("the message is empty: say what the others need, or give the answer")
        return content

    def encode(self, content: Content) -> str:
        """The text, and the answer on a line of its own."""
        answer = [] if content.answer is None else [f"Answer: {content.answer}"]
        return "\n".join([*([content.text] if content.text else []), *answer])


@protocol("concise")
class Concise(Plain):
    """Ordinary language in as few words as possible: the control for every compact form."""

    def instruction(self) -> str:
        """The form of `plain`, and brevity."""
        return (
            f"{super().instruction()} Use as few words as possible: no greetings, no repetition, only what is needed."
        )
