"""Decider: how likely each tier is to be the cheapest that is enough, said before anything is spent on an answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import msgspec
from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from ..orchestrator.build import part_reader
from ..orchestrator.part import Part, PartMark
from ..orchestrator.registry import Registry

if TYPE_CHECKING:
    from ..orchestrator.context import Context


class Item(msgspec.Struct, frozen=True):
    """What is to be answered, as a decider sees it."""

    text: str
    features: dict[str, Any]
    """Numbers, texts or lists of names, such as the number of tables a question needs."""
    tiers: tuple[str, ...]
    """From the cheapest to the dearest."""


class Decider(Part):
    """One way to decide. Its fields are its configuration in a flow: `by: {kind: rules, rules: [...]}`."""

    async def decide(self, ctx: Context, item: Item) -> Mapping[str, float]:
        """For each tier, the probability that it is the cheapest that is enough; a tier left out has none.

        Whatever asks a model does so through `ctx`, with the purpose `route`.
        """
        raise TypeError(f"the decider {type(self).__name__} does not say how it decides")  # its author forgot `decide`

    def named(self) -> tuple[str, ...]:
        """The tiers that its configuration names: they must be the node's."""
        return ()

    def expected(self, tiers: Sequence[str]) -> Mapping[str, float]:
        """The tokens that each tier is expected to use, as far as the decider knows."""
        return {}


DECIDERS: Registry[Decider] = Registry("decider", "laconic.deciders")

DeciderType = TypeVar("DeciderType", bound=Decider)


def decider(name: str) -> Callable[[type[DeciderType]], type[DeciderType]]:
    """Class decorator: make a Decider subclass known to flows as `by: name` or `by: {kind: name, ...}`."""
    return DECIDERS.named(name)


By = Annotated[
    Decider,
    PartMark(),
    BeforeValidator(part_reader(DECIDERS)),
    PlainSerializer(Part.written),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "object", "required": ["kind"]}]}),
]
"""A field that holds a decider."""
