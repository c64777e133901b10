"""Worked examples of planners that call tools, fitted to the tools that are offered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ..orchestrator import Tool
from .exemplars import EXEMPLARS, Exemplar

Examples = bool | tuple[Exemplar, ...]
"""What a node may say about examples: the built-in ones, none, or its own."""


def fitting(examples: Examples, tools: Mapping[str, Tool], names: Sequence[str]) -> tuple[Exemplar, ...]:
    """The examples that use only offered tools, which they call by kind or by name, under the names they have here.

    An example with a tool that is not offered would teach the model to call it.
    """
    if isinstance(examples, bool):
        examples = EXEMPLARS if examples else ()
    offered = {tools[name].kind: name for name in reversed(names)} | {name: name for name in names}
    return tuple(
        replace(exemplar, steps=tuple(replace(step, tool=offered[step.tool]) for step in exemplar.steps))
        for exemplar in examples
        if all(step.tool in offered for step in exemplar.steps)
    )
