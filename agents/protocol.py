"""Protocol: the form in which agents write to each other. It says the form, reads a message, and writes one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, TypeVar

import msgspec
from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from ..orchestrator.build import part_reader
from ..orchestrator.part import Part, PartMark
from ..orchestrator.registry import Registry
from ..orchestrator.shown import one_line

if TYPE_CHECKING:
    from ..orchestrator.context import Context
    from .agent import Seat


class Content(msgspec.Struct, frozen=True):
    """What a message says, whatever its form."""

    text: str = ""
    """What it tells, without the answer; in the protocol's own notation where it has one. Without empty lines and
    white space at the ends of lines, every line break a newline."""
    answer: str | None = None
    """The answer it proposes, in one line; never empty."""

    def __post_init__(self) -> None:
        whole = self.text.encode("utf-8", "replace").decode()  # half a surrogate pair, from a cut \\u escape
        lines = (line.rstrip() for line in whole.splitlines())
        msgspec.structs.force_setattr(self, "text", "\n".join(filter(None, lines)).strip())
        answer = one_line((self.answer or "").encode("utf-8", "replace").decode())
        msgspec.structs.force_setattr(self, "answer", answer or None)

    def __bool__(self) -> bool:
        return bool(self.text) or self.answer is not None


class Protocol(Part):
    """One form of message. Its fields are its configuration in a flow: `protocol: json`, or a mapping with its kind.

    `parse(encode(content))` is the content again: nothing that a text says can become an answer, or another message,
    on the way.
    """

    answering: ClassVar[str] = "give it as the form says"
    """How the answer is given, in the words that go on after `if you know the answer,`."""

    def instruction(self) -> str:
        """What an agent is told about the form, the place of the answer included."""
        raise TypeError(f"the protocol {type(self).__name__} does not say its form")  # its author forgot it

    def parse(self, text: str) -> Content:
        """What a message says. Raises MessageError, in words that the model that wrote it can use."""
        raise TypeError(f"the protocol {type(self).__name__} does not say how it is read")

    def encode(self, content: Content) -> str:
        """The message in as few characters as the form allows: what is delivered, and sent again in every prompt.

        Raises MessageError for a content that the form cannot carry.
        """
        raise TypeError(f"the protocol {type(self).__name__} does not say how it is written")

    def form(self) -> dict[str, Any] | None:
        """A JSON Schema that servers can hold a message to; None if the form is not JSON."""
        return None

    async def agreed(self, ctx: Context, task: str, seats: tuple[Seat, ...]) -> Protocol:
        """The protocol as it is used in one conversation about `task`: itself, unless a form is chosen first."""
        return self


PROTOCOLS: Registry[Protocol] = Registry("protocol", "laconic.protocols")

ProtocolType = TypeVar("ProtocolType", bound=Protocol)


def protocol(name: str) -> Callable[[type[ProtocolType]], type[ProtocolType]]:
    """Class decorator: make a Protocol subclass known to flows as `protocol: name`."""
    return PROTOCOLS.named(name)


_read = part_reader(PROTOCOLS)


def _written(chosen: Protocol) -> Mapping[str, Any] | str:
    fields = chosen.written()
    return chosen.kind if len(fields) == 1 else fields


ProtocolField = Annotated[
    Protocol,
    PartMark(),
    BeforeValidator(_read),
    PlainSerializer(_written),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "object", "required": ["kind"]}]}),
]
"""A field that holds a protocol."""
