"""Run: one execution of a flow, and what its parts have in common."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

import msgspec

from ..accounting.meter import Meter, MeteredModel
from ..errors import BudgetExceeded
from .events import NodeFinished, NodeStarted, OnEvent

if TYPE_CHECKING:
    from .flow import Flow
    from .runtime import Runtime

NodeStatus = Literal["running", "ok", "skipped", "failed", "cancelled"]


class NodeRecord(msgspec.Struct, gc=False):
    """How one node of a run went. Times are seconds since the run began."""

    path: str
    kind: str
    item: str = ""
    status: NodeStatus = "running"
    started: float = 0.0
    finished: float = 0.0
    error: str = ""
    notes: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        """How long the node took."""
        return self.finished - self.started


class Run:
    """The identity of a run, its models and its records; shared by every node and every nested flow."""

    __slots__ = (
        "clock",
        "flow",
        "id",
        "meter",
        "models",
        "on_event",
        "records",
        "runtime",
        "walls",
        "wants_tokens",
        "zero",
    )

    def __init__(
        self,
        flow: Flow,
        runtime: Runtime,
        models: Mapping[str, MeteredModel],
        *,
        id: str | None = None,
        on_event: OnEvent | None = None,
        wants_tokens: bool = False,
    ) -> None:
        self.id = id or new_run_id()
        self.flow = flow
        self.runtime = runtime
        self.meter: Meter = runtime.meter
        self.models = models
        self.on_event = on_event
        self.wants_tokens = wants_tokens
        self.records: list[NodeRecord] = []
        self.walls: list[BudgetExceeded] = []
        """What kept nodes from doing all they wanted, although they have a value."""
        self.clock = time.perf_counter
        self.zero = self.clock()

    @property
    def horizon(self) -> int | None:
        """How many calls it is worth to have waiting; None where none of the models chooses among them."""
        return horizon(self.models)

    def inner(self, flow: Flow, models: Mapping[str, MeteredModel]) -> Run:
        """The same run, seen from a flow nested in it."""
        run = Run(flow, self.runtime, models, id=self.id, on_event=self.on_event, wants_tokens=self.wants_tokens)
        run.records = self.records
        run.walls = self.walls
        run.zero = self.zero
        return run

    def begin(self, path: str, kind: str, item: str) -> NodeRecord:
        """Record that a node started."""
        record = NodeRecord(path, kind, item, "running", self.clock() - self.zero)
        self.records.append(record)
        if self.on_event is not None:
            self.on_event(NodeStarted(self.id, path, kind, item))
        return record

    def end(self, record: NodeRecord, status: NodeStatus, error: str = "", notes: list[str] | None = None) -> None:
        """Record how it ended."""
        record.status = status
        record.finished = self.clock() - self.zero
        if error:
            record.error = error
        if notes:
            record.notes = tuple(notes)
        if self.on_event is not None:
            self.on_event(
                NodeFinished(
                    self.id, record.path, record.kind, status, record.seconds, error, record.item, record.notes
                )
            )


def horizon(models: Mapping[str, MeteredModel]) -> int | None:
    """How many calls it is worth to have waiting for these models; None where none of them chooses among them."""
    return max((model.slots.horizon or 0 for model in models.values() if model.slots is not None), default=0) or None


def new_run_id() -> str:
    """A name that sorts by time and does not repeat."""
    return f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(3)}"
