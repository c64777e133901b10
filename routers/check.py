"""Check: whether an answer that is there is good enough to be taken."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, TypeVar

import msgspec
from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from ..orchestrator.build import part_reader
from ..orchestrator.node import Node
from ..orchestrator.part import Part, PartMark
from ..orchestrator.registry import Registry
from ..orchestrator.scope import Scope
from ..orchestrator.template import render_tree

if TYPE_CHECKING:
    from ..orchestrator.context import Context


@dataclass(frozen=True, slots=True)
class Answer:
    """What is to be checked."""

    question: str
    tier: str
    value: Any
    node: Node
    """The node that gave it, for those who want to ask it again."""
    logprobs: tuple[float, ...] = ()
    """Of every token that models wrote on the way to it, if a check needs them and the servers gave them."""


class Judgement(msgspec.Struct, frozen=True):
    """What a check says, and why, in words that go on after `the answer`: `runs`, `gives no rows`."""

    passed: bool
    why: str


class Check(Part):
    """One way to check. Its fields are its configuration in a flow: `accept: {kind: executes, tool: db}`.

    In its templates `answer` is the answer that is checked, whatever else has that name.
    """

    needs_logprobs: ClassVar[bool] = False
    """Whether it looks at `Answer.logprobs`."""

    def references(self) -> frozenset[str]:
        """What must be there before the first tier starts; the answer need not."""
        return super().references() - {"answer"}

    def render(self, ctx: Context, template: Any, answer: Answer) -> Any:
        """A template, or a tree of them, with the answer and all that is visible filled in."""
        return render_tree(template, Scope({"answer": answer.value}, ctx.values))

    async def judge(self, ctx: Context, answer: Answer) -> Judgement:
        """Whether the answer may be taken. Whatever asks a model does so through `ctx`, with the purpose `judge`."""
        raise TypeError(f"the check {type(self).__name__} does not say how it judges")  # its author forgot `judge`


CHECKS: Registry[Check] = Registry("check", "laconic.checks")

CheckType = TypeVar("CheckType", bound=Check)


def check(name: str) -> Callable[[type[CheckType]], type[CheckType]]:
    """Class decorator: make a Check subclass known to flows as `accept: name` or `accept: {kind: name, ...}`."""
    return CHECKS.named(name)


_read = part_reader(CHECKS)


def _each(written: Any) -> Any:
    return [_read(one) for one in (written if isinstance(written, (list, tuple)) else [written])]


def _written(checks: tuple[Check, ...]) -> list[Mapping[str, Any]]:
    return [one.written() for one in checks]


_ONE: dict[str, Any] = {"anyOf": [{"type": "string"}, {"type": "object", "required": ["kind"]}]}

Accept = Annotated[
    tuple[Check, ...],
    PartMark(),
    BeforeValidator(_each),
    PlainSerializer(_written),
    WithJsonSchema({"anyOf": [*_ONE["anyOf"], {"type": "array", "items": _ONE}]}),
]
"""A field that holds one check or a list of them."""
