"""`laconic batch`: a flow that takes a list, once, over all items of a data file."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from ..accounting.budget import Budget
from ..errors import FlowError, InputError
from ..evals.data import read_items
from ..orchestrator import Flow
from ..orchestrator.inputs import accept_inputs
from .asking import BudgetOption, InputOption, ResumeOption, asked, resumed, writable
from .batch_results import check_names, format_of
from .batch_session import BatchSession
from .options import LimitOption, ModelOption, OrderOption, SetOption, StoreOption, tell_problems
from .storage import opened, store_path


def batch(
    flow: Annotated[
        Path | None, typer.Argument(metavar="[FLOW]", help="A flow file; one of its inputs is a list.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option("--data", metavar="FILE.jsonl", help="The items, one a line: elements of the list.")
    ] = None,
    input: InputOption = None,
    limit: LimitOption = None,
    model: ModelOption = None,
    change: SetOption = None,
    budget_tokens: BudgetOption = None,
    store: StoreOption = None,
    resume: ResumeOption = None,
    order: OrderOption = "prefix",
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Write the results there, as .jsonl, .csv or .parquet."),
    ] = None,
) -> None:
    """Run a flow once over all items of a file, as one with `kind: batch` wants them: several items to a prompt.

    A row for each item, in the order of the file: its id, its value in every output that is a list of them, and for
    answers of `kind: batch` how they came about and what they cost. Everything else goes to stderr.
    """
    given = {"FLOW": flow, "--input": input, "--data": data, "--limit": limit, "--model": model, "--set": change}
    job = resumed(resume, store, given, "batch") if resume is not None else asked(flow, input, model, change, "batch")
    if resume is None:
        job.data, job.limit = data, limit
    if budget_tokens is not None:
        job.budget = Budget(tokens=budget_tokens)
    if job.data is None:
        raise InputError("name the file of the items with --data")
    ready = job.ready
    name = list_input(ready)
    check_names(ready.outputs)
    if name in job.inputs:
        raise InputError(f"--input {name}: the list of items comes from --data")
    accept_inputs(ready.inputs, {**job.inputs, name: []})
    write = format_of(out)
    items = read_items(job.data, job.limit)
    tell_problems(items)
    with ExitStack() as stack:
        sink = None if out is None else stack.enter_context(writable(out))
        ledger, answers, database = stack.enter_context(opened(store_path(store)))
        session = BatchSession(job, ready, ledger, answers, database, store, sink, order)
        status = session.whole(items, name, write)
    raise typer.Exit(status)


def list_input(flow: Flow) -> str:
    """The input that the items go to. Raises FlowError for a flow that has not exactly one list, or no outputs."""
    lists = [name for name, spec in flow.inputs.items() if spec.type == "list"]
    if len(lists) != 1:
        has = " and ".join(map(repr, lists)) if lists else "none"
        raise FlowError(
            f"`laconic batch` gives the items to the one input of a flow that is a list; {flow.name!r} has {has}",
            at=("inputs",),
        )
    if not flow.outputs:
        raise FlowError(f"the flow {flow.name!r} has no outputs, so nothing would come of its items", at=("outputs",))
    return lists[0]
