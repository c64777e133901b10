"""`kind: flow`: a flow inside a flow."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainSerializer, PrivateAttr

from ...accounting.budget import BudgetScope
from ...errors import FlowError, InputError, NodeError
from ..context import Context
from ..executor import Execution
from ..flow import Flow
from ..inputs import accept_inputs
from ..node import Node, kind
from ..result import finished
from ..template import TemplateTree

_LOADING: ContextVar[tuple[Path, ...]] = ContextVar("loading", default=())
"""The flow files that are being loaded, outermost first: a flow must not contain itself."""


def _written(value: Any) -> Any:
    return Flow(**value) if isinstance(value, Mapping) else value


def _plain(value: Path | Flow) -> Any:
    return value.written() if isinstance(value, Flow) else str(value)


InnerFlow = Annotated[Path | Flow, BeforeValidator(_written), PlainSerializer(_plain)]


@kind("flow")
class Subflow(Node):
    """Run another flow as one node, behind the same budgets, in the same ledger; the value is its outputs by name."""

    flow: InnerFlow = Field(description="A flow file, relative to this flow's folder, or a flow written in place.")
    inputs: TemplateTree = Field(default=None, description="What the inner flow is given, by name.")

    _inner: Flow = PrivateAttr()

    def check(self, base: Path) -> None:
        """Load the inner flow. Raises FlowError if it cannot work, or contains itself."""
        if isinstance(self.flow, Flow):
            self._inner = self.flow
            return
        path = (base / self.flow).resolve()
        loading = _LOADING.get()
        if path in loading:
            raise FlowError(
                f"the flow {path.name!r} contains itself: {' -> '.join(file.name for file in (*loading, path))}"
            )
        token = _LOADING.set((*loading, path))
        try:
            self._inner = Flow.load(path)
        finally:
            _LOADING.reset(token)

    async def run(self, ctx: Context) -> Any:
        """Run the inner flow. Raises what stopped it."""
        inner = self._inner
        given = ctx.render(self.inputs) or {}
        if not isinstance(given, dict):
            raise NodeError(
                f"inputs of an inner flow are a mapping of names, not {type(given).__name__}", path=ctx.path
            )
        try:
            inputs = accept_inputs(inner.inputs, given)
        except InputError as error:
            raise NodeError(f"the inner flow {inner.name!r}: {error}", path=ctx.path) from error
        run = ctx.run.inner(inner, await ctx.run.runtime.models(inner))
        scope = BudgetScope(inner.budget, ctx.path, parent=ctx.budget) if inner.budget is not None else ctx.budget
        execution = Execution(
            run, inner.graph, inputs, prefix=f"{ctx.path}/", item=ctx.item, budget=scope, heard=ctx.heard
        )
        await execution.execute()
        return finished(run, execution, inner.outputs, ctx.run.meter.ledger).raise_for_status().outputs
