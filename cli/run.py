"""`laconic run`: a flow, once or for every item of a data file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Annotated, Any

import typer

from ..accounting.budget import Budget
from ..errors import InputError
from ..evals.data import read_items
from ..orchestrator.inputs import accept_inputs
from ..orchestrator.registry import nearest
from .job import Job
from .options import (
    AtOnceOption,
    LimitOption,
    ModelOption,
    OrderOption,
    SetOption,
    StoreOption,
    load_flows,
    model_specs,
    pairs,
    tell_problems,
)
from .session import Session
from .storage import existing, find_run, opened, store_path


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
    items_at_once: AtOnceOption = None,
    order: OrderOption = "prefix",
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
    elif items_at_once is not None:
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
        session = Session(job, ready, ledger, answers, database, store, sink, order)
        status = session.once(as_json) if items is None else session.over(items, as_json)
    raise typer.Exit(status)


def _asked(flow: Path | None, input: list[str] | None, model: list[str] | None, change: list[str] | None) -> Job:
    if flow is None:
        raise InputError("name a flow file, or an earlier run with --resume")
    loaded = load_flows([flow], change)[0]
    given: dict[str, Any] = dict(pairs(input, "--input"))
    for name, text in given.items():
        if name not in loaded.inputs:
            raise InputError(f"the flow has no input {name!r}{nearest(name, list(loaded.inputs))}")
        if loaded.inputs[name].type in ("list", "dict"):
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
    """The file, open; what is in it stays until the run begins."""
    try:
        file = path.open("a", encoding="utf-8")
    except OSError as error:
        raise InputError(f"{str(path)!r} cannot be written: {error.strerror}") from error
    with file:
        yield file
