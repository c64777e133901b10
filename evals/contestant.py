"""Contestant: a flow as it takes part in a comparison."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..errors import FlowError
from ..orchestrator import Flow, new_run_id
from ..orchestrator.inputs import accept_inputs
from .data import Item, lacks
from .scoring import Scorer


@dataclass(frozen=True)
class Contestant:
    """A flow under the name it has in a comparison, and the run its calls are booked to."""

    name: str
    flow: Flow
    run: str = field(default_factory=new_run_id)

    @property
    def output(self) -> str:
        """Which output is the answer: `answer`, or the only one. Raises FlowError if that is open."""
        outputs = self.flow.outputs
        if "answer" in outputs:
            return "answer"
        if len(outputs) == 1:
            return next(iter(outputs))
        there = f"it has {', '.join(outputs)}" if outputs else "it has none"
        raise FlowError(f"the flow {self.name!r} must have an output `answer`, or only one, to be compared; {there}")

    def list_of(self, items: Sequence[Item], scorer: Scorer) -> list[dict[str, Any]]:
        """The items as a flow that takes all at once is given them: without what says which answer is right."""
        hidden = scorer.gold_fields
        return [{name: value for name, value in item.fields.items() if name not in hidden} for item in items]

    def inputs(self, item: Item) -> dict[str, Any]:
        """The item's fields that the flow asks for."""
        return {name: item.fields[name] for name in self.flow.inputs if name in item.fields}

    def together(self, items: Sequence[Item]) -> str:
        """The input of a flow that takes all items at once, as a list of their fields; empty if it takes them singly.

        It is the only list among the inputs that no item has a field for.
        """
        lists = [
            name
            for name, spec in self.flow.inputs.items()
            if spec.type == "list" and not any(name in item.fields for item in items)
        ]
        return lists[0] if len(lists) == 1 else ""

    def complaint_together(self, items: Sequence[Item]) -> str:
        """Why a flow that takes all items at once cannot be asked; empty if it can."""
        name = self.together(items)
        missing = [other for other, spec in self.flow.inputs.items() if spec.required and other != name]
        if not missing:
            return ""
        return f"takes all items at once as {name!r}, and nothing gives it {', '.join(map(repr, missing))}"

    def complaint(self, item: Item) -> str:
        """Why the flow cannot be asked this item; empty if it can."""
        why = lacks(item.fields, (name for name, spec in self.flow.inputs.items() if spec.required))
        if why:
            return why
        try:
            accept_inputs(self.flow.inputs, self.inputs(item))
        except FlowError as error:
            return str(error)
        return ""

    def keys(self, items: Sequence[Item], scorer: Scorer) -> list[str]:
        """What determines the rows of items that are asked together: flow, models, folder, inputs, gold, judgement."""
        inputs = self.list_of(items, scorer) if self.together(items) else [self.inputs(item) for item in items]
        asked = _hash([self.flow.written(), str(self.flow.base.resolve()), inputs])
        return [_hash([asked, scorer.gold(item), scorer.identity]) for item in items]


def _hash(parts: Sequence[Any]) -> str:
    return hashlib.blake2b(json.dumps(parts, sort_keys=True, default=str).encode(), digest_size=12).hexdigest()


def contestants(flows: Mapping[str, Flow] | Sequence[tuple[str, Flow]], *, as_given: bool = False) -> list[Contestant]:
    """The flows by their own names; by those given (usually their files') where two have the same, or if `as_given`.

    Raises FlowError if names stay equal, or a flow has no answer to compare.
    """
    pairs = list(flows.items() if isinstance(flows, Mapping) else flows)
    own = [flow.name for _, flow in pairs]
    made = [Contestant(given if as_given or own.count(flow.name) > 1 else flow.name, flow) for given, flow in pairs]
    names = [contestant.name for contestant in made]
    for contestant in made:
        if names.count(contestant.name) > 1:
            raise FlowError(f"two flows are called {contestant.name!r}: give one another `name`, or its file another")
        _ = contestant.output
    return made
