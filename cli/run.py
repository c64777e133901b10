"""`laconic run`: a flow, once or for every item of a data file."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from ..accounting.budget import Budget
from ..errors import InputError
from ..evals.data import read_items
from ..orchestrator.inputs import accept_inputs
from .asking import BudgetOption, InputOption, ResumeOption, asked, resumed, writable
from .options import AtOnceOption, LimitOption, ModelOption, OrderOption, SetOption, StoreOption, tell_problems
from .session import Session
from .storage import opened, store_path


def run(
    flow: Annotated[Path | None, typer.Argument(metavar="[FLOW]", help="A flow file.")] = None,
    input: InputOption = None,
    data: Annotated[
        Path | None, typer.Option("--data", metavar="FILE.jsonl", help="Run once for each line; its fields are inputs.")
    ] = None,
    limit: LimitOption = None,
    model: ModelOption = None,
    change: SetOption = None,
    budget_tokens: BudgetOption = None,
    store: StoreOption = None,
    resume: ResumeOption = None,
    items_at_once: AtOnceOption = None,
    order: OrderOption = "prefix",
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write the result there: JSON, or JSONL with --data.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Run a flow. The answer goes to stdout, everything else to stderr."""
    given = {"FLOW": flow, "--input": input, "--data": data, "--limit": limit, "--model": model, "--set": change}
    job = resumed(resume, store, given, "run") if resume is not None else asked(flow, input, model, change, "run")
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
        sink = None if out is None else stack.enter_context(writable(out))
        ledger, answers, database = stack.enter_context(opened(store_path(store)))
        session = Session(job, ready, ledger, answers, database, store, sink, order)
        status = session.once(as_json) if items is None else session.over(items, as_json)
    raise typer.Exit(status)
