"""Session: one job on its way, from the record before its first call to the bill after its last."""

from __future__ import annotations

import json
import shlex
import sys
import time
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import Any, TextIO, TypeVar

import msgspec
import typer

from ..accounting.audit import Audit
from ..accounting.budget import BudgetScope
from ..accounting.database import Database
from ..accounting.ledger import Ledger
from ..accounting.store import Store
from ..accounting.totals import Total
from ..errors import LaconicError
from ..evals.data import Data
from ..orchestrator import Flow, OnEvent, Result, Runtime
from ..orchestrator.queueing import Order
from ..routers.routed import Routed
from .errors import BUDGET, FAILED, OK, STOPPED, say
from .job import Job
from .options import preflight
from .over_items import InOrder, ItemResult, OverItems
from .progress import Progress, progress
from .stopping import run_to_the_end
from .tables import totals_as_data
from .text import harmless
from .who_wrote import who_wrote_what

T = TypeVar("T")

STATUS = {"ok": OK, "failed": FAILED, "budget": BUDGET}


class Session:
    """Runs a job: the record in the ledger file, the display, what is given out, the end."""

    def __init__(
        self,
        job: Job,
        flow: Flow,
        ledger: Ledger,
        answers: Store,
        database: Database,
        store: Path | None,
        sink: TextIO | None,
        order: Order = "prefix",
    ) -> None:
        """`flow`: the job's, with its models put in. `store`: the file that the user named, whose answers may be used
        again. `sink`: the `--out` file. `order`: in which calls that wait go to a server that caches prefixes.
        """
        self.job, self.flow = job, flow
        self.ledger, self.answers, self.database = ledger, answers, database
        self.store, self.sink = store, sink
        self.ledger.prices = {role: spec.price for role, spec in flow.models.items() if spec.price is not None}
        self.order: Order = order
        self.scope = None if job.budget is None else BudgetScope(job.budget, "the whole run")
        self.record = job.record()
        self.audit = Audit(ledger)
        self._begun = False

    def once(self, as_json: bool) -> int:
        """Run the flow once; returns the exit status."""
        with progress(items=False) as display:
            result = self._run(self._one(self.job.inputs, display.event))
        self._end(result.status, result.outputs, result.error)
        found = {
            "run": self.job.run,
            "status": result.status,
            "outputs": result.outputs,
            "error": None if result.error is None else str(result.error),
            "seconds": result.seconds,
            "totals": totals_as_data(result.ledger.total()),
            "nodes": [
                {**msgspec.to_builtins(record), "tokens": result.ledger.total(node=record.path).total}
                for record in result.nodes
            ],
        }
        self._give(found, result.outputs, as_json)
        if result.error is not None:
            say(f"error: {result.error}")
        self._say_what_it_cost(result.ledger.total(), result.status)
        return STATUS[result.status]

    def over(self, data: Data, as_json: bool) -> int:
        """Run the flow for every item; returns the exit status."""
        with progress(items=True) as display:
            ordered = InOrder(data, lambda result: self._hand_out(result, display, as_json))

            def ended(result: ItemResult, total: Total) -> None:
                ordered.add(result)
                done = len(items.results)
                display.finished(done, len(data.items), result.id, result.status, total, result.seconds)

            items = OverItems(self.job, self.flow, data, self.scope, ended)
            try:
                self._run(self._many(items, display.event))
            finally:
                ordered.close()
        counts = _counts(items, data)
        self._end(items.status, counts, items.ended_by)
        total = self.ledger.total(run=self.job.run)
        if as_json:
            found = {
                "run": self.job.run,
                "status": items.status,
                "outputs": [
                    msgspec.to_builtins(items.results[i.id], enc_hook=str) for i in data.items if i.id in items.results
                ],
                "error": None if items.ended_by is None else str(items.ended_by),
                "totals": totals_as_data(total),
                "nodes": {name: totals_as_data(of) for name, of in self.ledger.by("node", run=self.job.run).items()},
            }
            sys.stdout.write(json.dumps(found, ensure_ascii=False, default=str) + "\n")
        if items.ended_by is not None:
            say(f"error: {items.ended_by}")
        say(", ".join(f"{number} {name}" for name, number in counts.items() if number))
        self._say_what_it_cost(total, items.status)
        return STATUS[items.status]

    def _hand_out(self, result: ItemResult, display: Progress, as_json: bool) -> None:
        """A line of JSON to the `--out` file, or to stdout unless one object is to come there."""
        line = msgspec.json.encode(result, enc_hook=str).decode()
        if self.sink is not None:
            self.sink.write(line + "\n")
            self.sink.flush()
        elif not as_json:
            display.answer(line)

    async def _one(self, inputs: Mapping[str, Any], on_event: OnEvent) -> Result:
        async with self._runtime(on_event) as runtime, self.audit:
            await preflight([self.flow], runtime, self.job.budget)
            self._begin()
            return await self.flow.run(inputs, runtime=runtime, run_id=self.job.run, scope=self.scope)

    async def _many(self, items: OverItems, on_event: OnEvent) -> None:
        async with self._runtime(on_event) as runtime, self.audit:
            await preflight([self.flow], runtime, self.job.budget)
            self._begin()
            await items.run(runtime)

    def _begin(self) -> None:
        """Nothing stands in the way: from here on the run is remembered, and the `--out` file is this run's."""
        self._begun = True
        self.database.save_run(self.record)
        self.audit.keep(self.job.run)
        self.database.flush()
        if self.sink is not None and self.sink.seekable():
            self.sink.truncate(0)

    def _runtime(self, on_event: OnEvent) -> Runtime:
        return Runtime(
            ledger=self.ledger,
            store=self.answers,
            reuse=self.store is not None or bool(self.job.resumes),
            on_event=on_event,
            order=self.order,
            on_open=self.audit.include,
        )

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        try:
            return run_to_the_end(work)
        except KeyboardInterrupt:
            if not self._begun:
                raise
            self._end("cancelled", None, None)
            self._say_what_it_cost(self.ledger.total(run=self.job.run), "cancelled")
            raise typer.Exit(STOPPED) from None

    def _end(self, status: str, outputs: dict[str, Any] | None, error: LaconicError | None) -> None:
        self.database.save_run(
            msgspec.structs.replace(
                self.record,
                status=status,
                outputs=outputs,
                error="" if error is None else str(error),
                finished=time.time(),
            )
        )

    def _give(self, found: dict[str, Any], outputs: dict[str, Any], as_json: bool) -> None:
        text = json.dumps(found, ensure_ascii=False, default=str)
        if self.sink is not None:
            self.sink.write(text + "\n")
        if as_json:
            sys.stdout.write(text + "\n")
        elif self.sink is None:
            for name, value in outputs.items():
                shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
                if isinstance(value, Routed):
                    shown = who_wrote_what(value, terminal=sys.stdout.isatty())
                elif sys.stdout.isatty():
                    shown = harmless(shown)
                sys.stdout.write(f"{shown}\n" if len(self.flow.outputs) == 1 else f"{name}: {shown}\n")

    def _say_what_it_cost(self, total: Total, status: str) -> None:
        avoided = total.avoided_prompt + total.avoided_completion
        saved = f", {avoided:,} avoided" if avoided else ""
        where = "" if self.store is None else f" --store {shlex.quote(str(self.store))}"
        again = "" if status == "ok" else f"; go on with: laconic {self.job.command} --resume {self.job.run}{where}"
        say(f"run {self.job.run}: {status}, {total.show('total')} tokens in {total.sent} calls{saved}{again}")


def _counts(items: OverItems, data: Data) -> dict[str, int]:
    states = [result.status for result in items.results.values()]
    return {
        "items": len(data.items),
        "ok": states.count("ok"),
        "failed": states.count("failed"),
        "ended by a budget": states.count("budget"),
        "not reached": len(data.items) - len(states),
        "lines left out": len(data.problems),
    }
