"""Protocol: the form in which agents write to each other. It says the form, reads a message, and writes one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import msgspec
from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from ..orchestrator.build import part_reader
from ..orchestrator.part import Part, PartMark
from ..orchestrator.registry import Registry

if TYPE_CHECKING:
    from ..orchestrator.context import Context
    from .agent import Seat


class Content(msgspec.Struct, frozen=True):
    """What a message says, whatever its form."""

    text: str = ""
    """What it tells, without the answer; in the protocol's own notation where it has one."""
    answer: str | None = None
    """The answer it proposes, in one line."""


class Protocol(Part):
    """One form of message. Its fields are its configuration in a flow: `protocol: json`, or a mapping with its kind.

    `parse(encode(content))` is the content again.
    """

    def instruction(self) -> str:
        """What an agent is told about the form, the place of the answer included."""
        raise TypeError(f"the protocol {type(self).__name__} does not say its form")  # its author forgot it

    def parse(self, text: str) -> Content:
        """What a message says. Raises MessageError, in words that the model that wrote it can use."""
        raise TypeError(f"the protocol {type(self).__name__} does not say how it is read")

    def encode(self, content: Content) -> str:
        """The message in as few characters as the form allows: what is delivered, and sent again in every prompt."""
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
