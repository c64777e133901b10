"""`laconic run`: a flow, once or for every item of a data file."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Annotated, Any

import msgspec
import typer

from ..accounting.budget import Budget, BudgetScope
from ..accounting.database import Database
from ..accounting.ledger import Ledger
from ..accounting.store import Store
from ..accounting.totals import Total
from ..errors import InputError, LaconicError
from ..evals.data import Data, read_items
from ..orchestrator import Flow, Result, Runtime
from ..orchestrator.inputs import accept_inputs
from .batch import Batch, InOrder, ItemResult
from .errors import BUDGET, FAILED, OK, STOPPED, exit_status, say
from .job import Job
from .options import (
    AtOnceOption,
    LimitOption,
    ModelOption,
    SetOption,
    StoreOption,
    load_flows,
    model_specs,
    pairs,
    preflight,
    tell_problems,
)
from .progress import Progress, progress
from .stopping import run_to_the_end
from .storage import existing, find_run, opened, store_path
from .tables import totals_as_data
from .text import harmless

STATUS = {"ok": OK, "failed": FAILED, "budget": BUDGET}


def run(
    flow: Annotated[Path | None, typer.Argument(metavar="[FLOW]", help="A flow file.")] = None,
    input: Annotated[
        list[str] | None,
        typer.Option("--input", "-i", metavar="NAME=VALUE", help="An input of the flow; JSON for lists."),
    ] = None,
    data: Annotated[
        Path | None, typer.Option("--data", metavar="FILE.jsonl", help="Run once for each line; its fields are inputs.")
    ] = None,
    limit: LimitOption = None,
    model: ModelOption = None,
    change: SetOption = None,
    budget_tokens: Annotated[
        int | None, typer.Option("--budget-tokens", min=1, metavar="N", help="Most tokens for everything together.")
    ] = None,
    store: StoreOption = None,
    resume: Annotated[
        str | None,
        typer.Option("--resume", metavar="RUN", help="Do an earlier run again; what it had finished costs nothing."),
    ] = None,
    items_at_once: AtOnceOption = 1,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write the result there: JSON, or JSONL with --data.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Run a flow. The answer goes to stdout, everything else to stderr."""
    given = {"FLOW": flow, "--input": input, "--data": data, "--limit": limit, "--model": model, "--set": change}
    job = _resumed(resume, store, given) if resume is not None else _asked(flow, input, model, change)
    if resume is None:
        job.data, job.limit, job.at_once = data, limit, items_at_once
    elif items_at_once != 1:
        job.at_once = items_at_once
    if budget_tokens is not None:
        job.budget = Budget(tokens=budget_tokens)
    ready = job.ready
    items = None
    if job.data is not None:
        items = read_items(job.data, job.limit)
        items.require(lambda item: job.complaint(item.fields))
        tell_problems(items)
    elif job.limit is not None:
        raise InputError("--limit is for --data")
    else:
        accept_inputs(ready.inputs, job.inputs)
    with ExitStack() as stack:
        sink = None if out is None else stack.enter_context(_writable(out))
        ledger, answers, database = stack.enter_context(opened(store_path(store)))
        reuse = store is not None or resume is not None
        session = _Session(job, ready, ledger, answers, database, reuse)
        status = session.once(sink, as_json) if items is None else session.over(items, sink, as_json)
    raise typer.Exit(status)


def _asked(flow: Path | None, input: list[str] | None, model: list[str] | None, change: list[str] | None) -> Job:
    if flow is None:
        raise InputError("name a flow file, or an earlier run with --resume")
    loaded = load_flows([flow], change)[0]
    given: dict[str, Any] = dict(pairs(input, "--input"))
    for name, text in given.items():
        if name in loaded.inputs and loaded.inputs[name].type in ("list", "dict"):
            try:
                given[name] = json.loads(text)
            except ValueError as error:
                raise InputError(f"--input {name} must be a {loaded.inputs[name].type} in JSON: {error}") from error
    return Job(flow=loaded, inputs=given, models=model_specs(model))


def _resumed(which: str, store: Path | None, given: dict[str, Any]) -> Job:
    for option, value in given.items():
        if value:
            raise InputError(f"--resume takes {option} from the earlier run; leave it out")
    with existing(store) as database:
        return Job.of(find_run(database, which))


@contextmanager
def _writable(path: Path) -> Iterator[IO[str]]:
    try:
        file = path.open("w", encoding="utf-8")
    except OSError as error:
        raise InputError(f"{str(path)!r} cannot be written: {error.strerror}") from error
    with file:
        yield file


class _Session:
    """One run on its way: the record in the ledger file, the display, the end."""

    def __init__(self, job: Job, flow: Flow, ledger: Ledger, answers: Store, database: Database, reuse: bool) -> None:
        self.job, self.flow = job, flow
        self.ledger, self.answers, self.database, self.reuse = ledger, answers, database, reuse
        self.scope = None if job.budget is None else BudgetScope(job.budget, "the whole run")
        self.record = job.record()

    def once(self, sink: IO[str] | None, as_json: bool) -> int:
        """Run the flow once; returns the exit status."""
        with progress(items=False) as display:
            result: Result = self._run(self._one(display))
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
        self._give(found, result.outputs, sink, as_json)
        if result.error is not None:
            say(f"error: {result.error}")
        self._say_what_it_cost(result.ledger.total(), result.status)
        return exit_status(result.error) if result.status == "budget" else STATUS[result.status]

    def over(self, data: Data, sink: IO[str] | None, as_json: bool) -> int:
        """Run the flow for every item; returns the exit status."""
        target = sink if sink is not None else None if as_json else sys.stdout
        ordered = InOrder(data, lambda result: _write_line(target, result))
        with progress(items=True) as display:

            def ended(result: ItemResult, total: Total) -> None:
                ordered.add(result)
                done = len(batch.results)
                display.finished(done, len(data.items), result.id, result.status, total, result.seconds)

            batch = Batch(self.job, self.flow, data, self.scope, ended)
            try:
                self._run(self._many(batch, display))
            finally:
                ordered.close()
        counts = _counts(batch, data)
        self._end(batch.status, counts, batch.ended_by)
        total = self.ledger.total(run=self.job.run)
        if as_json:
            found = {
                "run": self.job.run,
                "status": batch.status,
                "outputs": [msgspec.to_builtins(batch.results[i.id]) for i in data.items if i.id in batch.results],
                "error": None if batch.ended_by is None else str(batch.ended_by),
                "totals": totals_as_data(total),
                "nodes": {name: totals_as_data(of) for name, of in self.ledger.by("node", run=self.job.run).items()},
            }
            sys.stdout.write(json.dumps(found, ensure_ascii=False, default=str) + "\n")
        if batch.ended_by is not None:
            say(f"error: {batch.ended_by}")
        say(", ".join(f"{number} {name}" for name, number in counts.items() if number))
        self._say_what_it_cost(total, batch.status)
        return STATUS[batch.status]

    async def _one(self, display: Progress) -> Result:
        async with self._runtime(display) as runtime:
            await preflight([self.flow], runtime)
            self.database.save_run(self.record)
            return await self.flow.run(self.job.inputs, runtime=runtime, run_id=self.job.run, scope=self.scope)

    async def _many(self, batch: Batch, display: Progress) -> None:
        async with self._runtime(display) as runtime:
            await preflight([self.flow], runtime)
            self.database.save_run(self.record)
            await batch.run(runtime)

    def _runtime(self, display: Progress) -> Runtime:
        return Runtime(ledger=self.ledger, store=self.answers, reuse=self.reuse, on_event=display.event)

    def _run(self, work: Any) -> Any:
        try:
            return run_to_the_end(work)
        except KeyboardInterrupt:
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

    def _give(self, found: dict[str, Any], outputs: dict[str, Any], sink: IO[str] | None, as_json: bool) -> None:
        text = json.dumps(found, ensure_ascii=False, default=str)
        if sink is not None:
            sink.write(text + "\n")
        if as_json:
            sys.stdout.write(text + "\n")
        elif sink is None:
            for name, value in outputs.items():
                shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
                shown = harmless(shown) if sys.stdout.isatty() else shown
                sys.stdout.write(f"{shown}\n" if len(self.flow.outputs) == 1 else f"{name}: {shown}\n")

    def _say_what_it_cost(self, total: Total, status: str) -> None:
        avoided = total.avoided_prompt + total.avoided_completion
        saved = f", {avoided:,} avoided" if avoided else ""
        again = "" if status == "ok" else f"; go on with: laconic run --resume {self.job.run}"
        say(f"run {self.job.run}: {status}, {total.show('total')} tokens in {total.sent} calls{saved}{again}")


def _write_line(target: IO[str] | None, result: ItemResult) -> None:
    if target is not None:
        target.write(msgspec.json.encode(result, enc_hook=str).decode() + "\n")
        target.flush()


def _counts(batch: Batch, data: Data) -> dict[str, int]:
    states = [result.status for result in batch.results.values()]
    return {
        "items": len(data.items),
        "ok": states.count("ok"),
        "failed": states.count("failed"),
        "ended by a budget": states.count("budget"),
        "not reached": len(data.items) - len(states),
        "lines left out": len(data.problems),
    }
