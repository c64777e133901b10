"""From a command line to a job: a new one, or that of an earlier run."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer

from ..errors import InputError
from ..orchestrator.registry import nearest
from .job import Command, Job
from .options import load_flows, model_specs, pairs
from .storage import existing, find_run

InputOption = Annotated[
    list[str] | None,
    typer.Option("--input", "-i", metavar="NAME=VALUE", help="An input of the flow; JSON for lists."),
]
BudgetOption = Annotated[
    int | None, typer.Option("--budget-tokens", min=1, metavar="N", help="Most tokens for everything together.")
]
ResumeOption = Annotated[
    str | None,
    typer.Option("--resume", metavar="RUN", help="Do an earlier run again; what it had finished costs nothing."),
]


def asked(
    flow: Path | None,
    input: Sequence[str] | None,
    model: Sequence[str] | None,
    change: Sequence[str] | None,
    command: Command,
) -> Job:
    """A new job. Raises InputError and FlowError."""
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
    return Job(flow=loaded, inputs=given, models=model_specs(model), command=command)


def resumed(which: str, store: Path | None, given: Mapping[str, Any], command: Command) -> Job:
    """The job of an earlier run, which has its own values for what is `given`. Raises InputError."""
    for option, value in given.items():
        if value:
            raise InputError(f"--resume takes {option} from the earlier run; leave it out")
    with existing(store) as database:
        return Job.of(find_run(database, which), command)


@contextmanager
def writable(path: Path) -> Iterator[TextIO]:
    """The `--out` file, open; what is in it stays until the run begins. Raises InputError."""
    try:
        file = path.open("a", encoding="utf-8")
    except OSError as error:
        raise InputError(f"{str(path)!r} cannot be written: {error.strerror}") from error
    with file:
        yield file
