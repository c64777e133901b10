"""`protocol: json`: a message is a JSON object; a server that can is made to hold the model to it."""

from __future__ import annotations

import json
from typing import Any

from ...errors import MessageError
from ..protocol import Content, Protocol, protocol
from .loose_json import read_object
from .plain import EMPTY

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"say": {"type": "string"}, "answer": {"type": ["string", "null"]}},
    # Both: servers that follow OpenAI's strict mode take no schema with a key that may be missing.
    "required": ["say", "answer"],
    "additionalProperties": False,
}


@protocol("json")
class JSONMessage(Protocol):
    """`{"say": ..., "answer": ...}`, delivered without spaces and without what is empty."""

    answering = 'give it as "answer"'

    def instruction(self) -> str:
        """The two keys."""
        return (
            'Write one JSON object with the keys "say", your message to the others, and "answer": null until you know '
            "the answer, then the answer in a few words. Write nothing else."
        )

    def form(self) -> dict[str, Any]:
        """The object's schema."""
        return SCHEMA

    def parse(self, text: str) -> Content:
        """What the first object in the text says; other keys than the two belong to what it tells, as JSON."""
        read = read_object(text)
        if read is None:
            raise MessageError('it is no JSON object such as {"say":"...","answer":null}')
        fields = {key.lower(): value for key, value in read.fields.items()}
        answer = _text(fields.pop("answer", None))
        if answer and read.cut is not None and read.cut.lower() == "answer":
            raise MessageError("it is cut off in the answer; write a shorter one")
        say = _text(fields.pop("say", None))
        more = {key: value for key, value in fields.items() if value not in (None, "", [], {})}
        content = Content("\n".join(filter(None, [say, _compact(more) if more else ""])), answer)
        if not content:
            raise MessageError(EMPTY)
        return content

    def encode(self, content: Content) -> str:
        """The shortest object that says it."""
        fields = {"say": content.text, "answer": content.answer}
        return _compact({key: value for key, value in fields.items() if value})


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else _compact(value)


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
