"""Flow: a graph of steps with its inputs, models, tools and outputs. Python and YAML are two spellings of it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, SerializeAsAny, ValidationError

from ..accounting.budget import Budget, BudgetScope
from ..backends.backend import Backend
from ..errors import BudgetExceeded, FlowError
from .build import build_inputs, build_models, build_nodes, build_tools, explained
from .events import OnEvent
from .executor import Execution
from .graph import Graph
from .inputs import InputSpec, accept_inputs
from .models import ModelSpec
from .node import Node
from .part import Part, RoleMark, ToolMark, marked, parts_in
from .registry import nearest
from .result import Result, finished
from .run import Run
from .runtime import Runtime
from .template import RESERVED, is_name, tree_references
from .tool import Tool
from .yaml_source import read_yaml, write_yaml


class Flow(BaseModel):
    """A graph of steps. Edges are not declared: a node that mentions another in a template waits for it.

    Raises FlowError when something in it cannot work: an unknown kind or field, a name nobody has, a circle.
    """

    model_config = ConfigDict(extra="forbid")

    name: str = Field(description="What the flow is called in the ledger.")
    description: str = ""
    inputs: dict[str, InputSpec] = Field(default_factory=dict, description="What a run is given.")
    models: dict[str, ModelSpec] = Field(default_factory=dict, description="Which model plays which role.")
    tools: dict[str, SerializeAsAny[Tool]] = Field(default_factory=dict, description="What plans may call.")
    budget: Budget | None = Field(default=None, description="A wall for the whole run.")
    nodes: dict[str, SerializeAsAny[Node]] = Field(description="The steps.")
    outputs: dict[str, Any] = Field(default_factory=dict, description="What a run gives back, as templates.")

    _graph: Graph = PrivateAttr()
    _base: Path = PrivateAttr(default_factory=Path.cwd)

    def __init__(self, **written: Any) -> None:
        try:
            written = dict(written)
            base = written.pop("base", None)
            written["inputs"] = build_inputs(written.get("inputs") or {})
            written["models"] = build_models(written.get("models") or {})
            written["tools"] = build_tools(written.get("tools") or {})
            written["nodes"] = build_nodes(written.get("nodes") or {})
            super().__init__(**written)
        except ValidationError as error:
            raise explained(error, type(self), "the flow", ()) from None
        if base is not None:
            self._base = Path(base)
        self._check()

    def _check(self) -> None:
        if not self.nodes:
            raise FlowError("the flow has no nodes", at=("nodes",))
        for section, names in (("inputs", self.inputs), ("nodes", self.nodes)):
            for name in names:
                if not is_name(name):
                    why = (
                        "is a word of the template language"
                        if name in RESERVED
                        else "is not a name a template can mention"
                    )
                    raise FlowError(f"{name!r} {why}; use letters, digits and underscores", at=(section, name))
                if section == "nodes" and name in self.inputs:
                    raise FlowError(f"{name!r} is both an input and a node", at=("nodes", name))
        self._graph = Graph(self.nodes, frozenset(self.inputs))
        for name, node in self.nodes.items():
            self._check_part(node, ("nodes", name))
            self._check_held(name, node)
        for name, tool in self.tools.items():
            tool.at(self._base)
            for field in marked(type(tool), RoleMark):
                self._check_names(getattr(tool, field), "model", self.models, ("tools", name, field))
            for field, part in parts_in(tool):
                self._check_part(part, ("tools", name, field))
            try:
                tool.check()
            except FlowError as error:
                raise FlowError(error.plain, at=("tools", name)) from error
        held = {self._graph.names[number] for number in self._graph.held}
        for name, template in self.outputs.items():
            if held & tree_references(template):
                wrong = min(held & tree_references(template))
                raise FlowError(
                    f"the output {name!r} mentions {wrong!r}, which another node runs or not; mention that node",
                    at=("outputs", name),
                )
            unknown = tree_references(template) - self.nodes.keys() - self.inputs.keys()
            if unknown:
                hint = nearest(min(unknown), [*self.nodes, *self.inputs])
                raise FlowError(
                    f"the output {name!r} mentions {min(unknown)!r}, which is neither a node nor an input{hint}",
                    at=("outputs", name),
                )

    def _check_part(self, part: Part, at: tuple[str, ...]) -> None:
        """Check the names that a part mentions, and whether it and the parts in it can work."""
        for mark, noun, known in ((RoleMark, "model", self.models), (ToolMark, "tool", self.tools)):
            for field in marked(type(part), mark):
                self._check_names(getattr(part, field), noun, known, (*at, field))
        for field, inner in part.parts():
            self._check_part(inner, (*at, field))
        try:
            part.check(self._base)
        except FlowError as error:
            raise FlowError(error.plain, where=error.where, at=at) from error

    def _check_held(self, name: str, node: Node) -> None:
        there = [*(other for other in self.nodes if other != name), *self.models]
        for held in node.holds():
            if held not in there:
                raise FlowError(
                    f"the node {name!r} would run {held!r}, which is neither another node nor a model"
                    f"{nearest(held, there)}",
                    at=("nodes", name),
                )

    def _check_names(self, value: Any, noun: str, known: Mapping[str, Any], at: tuple[str, ...]) -> None:
        for name in [value] if isinstance(value, str) else value or []:
            if name not in known:
                raise FlowError(f"the flow has no {noun} {name!r}{nearest(name, list(known))}", at=at)

    @classmethod
    def load(cls, path: str | Path, changes: Mapping[str, Any] | None = None) -> Self:
        """Read a flow from a YAML file; relative paths in it are meant from its folder.

        `changes` replaces values before the flow is checked: `{"nodes.answer.max_steps": 4}`. Raises FlowError with
        file and line.
        """
        path = Path(path)
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            others = sorted(other.name for other in path.parent.glob("*.y*ml")) if path.parent.is_dir() else []
            raise FlowError(
                f"there is no flow file {str(path)!r}{nearest(path.name, others) if others else ''}"
            ) from None
        except (OSError, UnicodeDecodeError) as error:
            raise FlowError(f"the flow file {str(path)!r} cannot be read: {error}") from error
        return cls.parse(text, name=str(path), base=path.parent, changes=changes)

    @classmethod
    def parse(
        cls,
        text: str,
        *,
        name: str = "flow",
        base: str | Path | None = None,
        changes: Mapping[str, Any] | None = None,
    ) -> Self:
        """Read a flow from YAML text. `changes` are as in `load`. Raises FlowError with `name` and line."""
        source = read_yaml(text, name)
        if not isinstance(source.data, dict):
            raise FlowError("a flow is a mapping with the keys name, models, nodes, outputs, ...", where=f"{name}:1")
        for key, value in (changes or {}).items():
            source.change(key, value)
        try:
            return cls(**{str(key): value for key, value in source.data.items()}, base=base)
        except FlowError as error:
            if error.where is not None:
                raise
            raise FlowError(error.plain, where=source.where(error.at), at=error.at) from error

    def dump(self) -> str:
        """The flow as YAML; `Flow.parse(flow.dump()) == flow`."""
        return write_yaml(self.written())

    def written(self) -> dict[str, Any]:
        """The flow as plain data, with nothing in it that is a default."""
        parts: dict[str, Any] = {
            "name": self.name,
            "description": self.description,
            "inputs": {name: spec.written() for name, spec in self.inputs.items()},
            "models": {role: spec.model_dump(mode="json", exclude_defaults=True) for role, spec in self.models.items()},
            "tools": {
                name: {"kind": tool.kind, **tool.model_dump(mode="json", exclude_defaults=True)}
                for name, tool in self.tools.items()
            },
            "budget": self.budget.model_dump(mode="json", exclude_none=True) if self.budget else None,
            "nodes": {name: node.written() for name, node in self.nodes.items()},
            "outputs": self.outputs,
        }
        return {key: value for key, value in parts.items() if value or key == "name"}

    def __eq__(self, other: object) -> bool:
        """Two flows are equal if they are written the same."""
        return self is other or (isinstance(other, Flow) and self.written() == other.written())

    __hash__ = object.__hash__

    @property
    def graph(self) -> Graph:
        """The nodes with the edges read from their templates."""
        return self._graph

    @property
    def base(self) -> Path:
        """The folder from which relative paths in the flow are meant."""
        return self._base

    def with_models(self, models: Mapping[str, ModelSpec]) -> Flow:
        """The same flow with other models in some roles. Raises FlowError for a role it does not have."""
        for role in models:
            if role not in self.models:
                raise FlowError(f"the flow {self.name!r} has no model {role!r}{nearest(role, list(self.models))}")
        return self._altered(models={**self.models, **models})

    def with_budget(self, budget: Budget | None) -> Flow:
        """The same flow behind another wall."""
        return self._altered(budget=budget)

    def _altered(self, **changes: Any) -> Flow:
        fields = {name: getattr(self, name) for name in type(self).model_fields}
        return type(self)(**{**fields, **changes}, base=self._base)

    async def run(
        self,
        inputs: Mapping[str, Any] | None = None,
        /,
        *,
        runtime: Runtime | None = None,
        backends: Mapping[str, Backend] | None = None,
        on_event: OnEvent | None = None,
        wants_tokens: bool = False,
        run_id: str | None = None,
        item: str = "",
        scope: BudgetScope | None = None,
        **more: Any,
    ) -> Result:
        """Run the flow once. Inputs come as a mapping, by keyword, or both.

        `runtime` shares open models, ledger and store with other runs; without one, models are opened for this run
        alone. `scope` puts the run behind an outer budget, `run_id` and `item` make it a part of a larger run.
        Raises InputError before anything is spent, and what opening a model raises; what fails later is in the result.
        """
        given = accept_inputs(self.inputs, {**(inputs or {}), **more})
        if runtime is None:
            async with Runtime(backends=backends, on_event=on_event) as own:
                return await self._run(given, own, on_event, wants_tokens, run_id, item, scope)
        return await self._run(given, runtime, on_event or runtime.on_event, wants_tokens, run_id, item, scope)

    async def _run(
        self,
        inputs: dict[str, Any],
        runtime: Runtime,
        on_event: OnEvent | None,
        wants_tokens: bool,
        run_id: str | None,
        item: str,
        scope: BudgetScope | None,
    ) -> Result:
        models = await runtime.models(self)
        run = Run(self, runtime, models, id=run_id, on_event=on_event, wants_tokens=wants_tokens)
        if self.budget is not None:
            scope = BudgetScope(self.budget, "the run" if not item else f"item {item}", parent=scope)
        execution = Execution(run, self._graph, inputs, item=item, budget=scope)
        seconds = self.budget.seconds if self.budget is not None else None
        if seconds is None:
            await execution.execute()
        else:
            try:
                async with asyncio.timeout(seconds):
                    await execution.execute()
            except TimeoutError:
                execution.error = BudgetExceeded(
                    f"the run took longer than its budget of {seconds:g} s",
                    scope="the run",
                    unit="seconds",
                    limit=seconds,
                )
        return finished(run, execution, self.outputs, runtime.ledger)

    def run_sync(self, inputs: Mapping[str, Any] | None = None, /, **more: Any) -> Result:
        """`run` for a script. Inside a running event loop (a notebook) it runs in a thread of its own."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return asyncio.run(self.run(inputs, **more))
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(1) as thread:
            return thread.submit(lambda: asyncio.run(self.run(inputs, **more))).result()
