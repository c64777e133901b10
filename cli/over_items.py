"""A flow over the items of a data file: some under way at once, their results handed out in the order of the file."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgspec

from ..accounting.budget import BudgetScope
from ..accounting.totals import Total
from ..errors import BackendUnreachable, BudgetExceeded, LaconicError, LedgerError
from ..evals.data import Data, Item
from ..orchestrator import Flow, Result, Runtime
from ..orchestrator.run import horizon
from .job import Job


class ItemResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one item; a line of the `--out` file."""

    id: str
    line: int
    status: str
    outputs: dict[str, Any]
    tokens: int
    avoided: int
    seconds: float
    error: str = ""


OnItem = Callable[[ItemResult, Total], None]


class OverItems:
    """Runs the items. After `run`, `results` holds what was reached, and `ended_by` why the rest was not."""

    def __init__(self, job: Job, flow: Flow, data: Data, scope: BudgetScope | None, on_item: OnItem) -> None:
        """`on_item` is told of every item the moment it ends, in whatever order they do."""
        self.job = job
        self.flow = flow
        self.data = data
        self.results: dict[str, ItemResult] = {}
        self.ended_by: LaconicError | None = None
        self._scope = scope
        self._on_item = on_item

    async def run(self, runtime: Runtime) -> None:
        """Run until all items are done, the whole budget is spent, or the server is gone."""
        waiting = iter(self.data.items)

        async def worker() -> None:
            for item in waiting:
                if self.ended_by is not None:
                    return
                await self._one(item, runtime)

        at_once = self.job.at_once or horizon(await runtime.models(self.flow)) or 1
        async with asyncio.TaskGroup() as tasks:
            for _ in range(min(at_once, len(self.data.items))):
                tasks.create_task(worker())

    async def _one(self, item: Item, runtime: Runtime) -> None:
        result = await self.flow.run(
            self.job.inputs_for(item.fields), runtime=runtime, run_id=self.job.run, item=item.id, scope=self._scope
        )
        if self._ends_everything(result) and self.ended_by is None:
            self.ended_by = result.error
        total = result.ledger.total()
        kept = ItemResult(
            id=item.id,
            line=item.line,
            status=result.status,
            outputs=result.outputs,
            tokens=total.total,
            avoided=total.avoided_prompt + total.avoided_completion,
            seconds=result.seconds,
            error="" if result.error is None else str(result.error),
        )
        self.results[item.id] = kept
        # Told only when its answers are in the file: a run killed right after must not spend them again.
        with suppress(LedgerError):  # a full disk does not stop the run; closing the ledger says what is not in it
            runtime.ledger.flush()
        self._on_item(kept, total)

    def _ends_everything(self, result: Result) -> bool:
        """Whether no other item can do better: nobody there to ask, or nothing left of the whole budget."""
        error = result.error
        if isinstance(error, BackendUnreachable):
            return True
        return isinstance(error, BudgetExceeded) and self._scope is not None and error.scope == self._scope.name

    @property
    def status(self) -> str:
        """How the whole of it ended: `ok` only if every item did."""
        states = {result.status for result in self.results.values()}
        if "failed" in states:
            return "failed"
        return "budget" if "budget" in states else "ok"


class InOrder:
    """Hands out results in the order of the items: each as soon as all before it are there."""

    def __init__(self, data: Data, write: Callable[[ItemResult], None]) -> None:
        self._order = iter([item.id for item in data.items])
        self._next = next(self._order, None)
        self._early: dict[str, ItemResult] = {}
        self._write = write

    def add(self, result: ItemResult) -> None:
        """One more result."""
        self._early[result.id] = result
        while self._next is not None and self._next in self._early:
            self._write(self._early.pop(self._next))
            self._next = next(self._order, None)

    def close(self) -> None:
        """Hand out the rest, gaps or not."""
        while self._next is not None:
            if self._next in self._early:
                self._write(self._early.pop(self._next))
            self._next = next(self._order, None)
