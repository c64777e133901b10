"""`protocol: custom`: a form of the flow's author, read by regular expressions."""

from __future__ import annotations

from functools import cache
from typing import Any, Self

import regex
from pydantic import Field, field_validator, model_validator

from ...errors import MessageError, NodeError
from ...orchestrator.template import as_text, compile_template
from ..protocol import Content, Protocol, protocol
from .plain import EMPTY

MOST_CHARACTERS = 20_000
"""Of a message that are looked at."""
MOST_SECONDS = 0.25
"""Of processor time that a pattern may take for one message."""
_HARD = ("a" * 2_000 + "!", "a " * 1_000 + "!", " " * 2_000 + "!", "0" * 2_000 + "!", "a: a\n" * 400 + "!")
"""Texts on which patterns that go back too often show it."""


@protocol("custom")
class Custom(Protocol):
    """Say what agents are told and how their messages are read.

    Without `write`, what `message` matches is delivered as it stands, the answer in it. With it, the groups of
    `message` and `answer` are what a message says, and it is written anew. In patterns ^ and $ stand for the ends of
    lines, and . for anything but a line break; of several matches of `answer` the last counts.
    """

    instructions: str = Field(min_length=1, description="What agents are told about the form.")
    answer: str = Field(description="A regular expression; its first group is the answer.")
    message: str | None = Field(
        default=None,
        description="A regular expression for a message, its first group what it tells; by default, all of it.",
    )
    write: str | None = Field(
        default=None, description="A template of `text` and `answer` (None if there is none): the message as delivered."
    )
    example: str | None = Field(
        default=None,
        description="A message in this form with an answer: read and written when the flow is loaded, to see that all "
        "fits together.",
    )

    @field_validator("answer", "message")
    @classmethod
    def _is_a_pattern(cls, pattern: str | None) -> str | None:
        if pattern is None:
            return None
        try:
            compiled = _compiled(pattern)
        except regex.error as error:
            raise ValueError(f"{pattern!r} is no regular expression: {error}") from error
        if not compiled.groups:
            raise ValueError(f"{pattern!r} has no group: put ( and ) around what it should find")
        try:
            for text in _HARD:
                compiled.search(text, timeout=MOST_SECONDS)
        except TimeoutError:
            raise ValueError(f"{pattern!r} {_TOO_SLOW}") from None
        return pattern

    @field_validator("write")
    @classmethod
    def _is_a_template(cls, template: str | None) -> str | None:
        unknown = set() if template is None else compile_template(template).references - {"text", "answer"}
        if unknown:
            raise ValueError(f"`write` is filled with `text` and `answer`; there is no {min(unknown)!r}")
        return template

    @model_validator(mode="after")
    def _reads_its_example(self) -> Self:
        if self.example is None:
            return self
        try:
            content = self.parse(self.example)
            self.encode(content)
        except (MessageError, NodeError) as error:
            raise ValueError(f"the patterns do not fit `example`: {error}") from error
        if content.answer is None:
            raise ValueError("the pattern `answer` finds nothing in `example`")
        return self

    def instruction(self) -> str:
        """What the author wrote."""
        return self.instructions.strip()

    def parse(self, text: str) -> Content:
        """What the patterns find. Raises NodeError if one of them takes too long."""
        whole = Content(text).text[:MOST_CHARACTERS]
        told = _found(self.message, whole)[:1] if self.message is not None else []
        answers = _found(self.answer, whole if self.write is not None or not told else told[0][0])
        if self.message is not None and not told and not answers:
            raise MessageError("it does not have the form that you were told")
        answer = _group(answers[-1]) if answers else None
        if self.write is None:
            content = Content(told[0][0] if told else whole, answer)
        elif self.message is not None:
            content = Content(_group(told[0]) if told else "", answer)
        else:
            content = Content(_without(whole, answers), answer)
        if not content:
            raise MessageError(EMPTY)
        return content

    def encode(self, content: Content) -> str:
        """The message. Raises MessageError for a content that would be read as another."""
        if self.write is None:
            written = content.text
        else:
            written = as_text(compile_template(self.write).render({"text": content.text, "answer": content.answer}))
        if self.parse(written) != content:
            raise MessageError("what it tells has marks in it that belong to the form")
        return written


_TOO_SLOW = (
    f"takes longer than {MOST_SECONDS:g} s on one message; write it without a repetition inside a repetition, "
    "such as (a+)+"
)


@cache
def _compiled(pattern: str) -> Any:
    return regex.compile(pattern, regex.MULTILINE)


def _found(pattern: str, text: str) -> list[Any]:
    try:
        return list(_compiled(pattern).finditer(text, timeout=MOST_SECONDS))
    except TimeoutError:
        raise NodeError(f"the pattern {pattern!r} of the protocol {_TOO_SLOW}") from None


def _group(match: Any) -> str:
    return match[1] or ""


def _without(text: str, matches: list[Any]) -> str:
    for match in reversed(matches):
        text = text[: match.start()] + text[match.end() :]
    return text
