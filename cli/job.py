"""Job: what `laconic run` or `laconic batch` was asked to do, and how the ledger file remembers it to be done again."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from ..accounting.budget import Budget
from ..accounting.runs import RunRecord
from ..errors import FlowError, InputError
from ..orchestrator import Flow, ModelSpec, new_run_id
from ..orchestrator.inputs import accept_inputs
from .options import with_models

# A record's inputs are the flow's inputs; what else a run needs is kept beside them under names no input can have.
DATA, LIMIT, AT_ONCE, RESUMES, PROCESS, COMPARE, COMMAND = (
    "@data",
    "@limit",
    "@items_at_once",
    "@resumes",
    "@process",
    "@compare",
    "@command",
)

Command = Literal["run", "batch"]


@dataclass
class Job:
    """A flow with its inputs, models and budget. With `data`, one run for each item of it, or one for all of them."""

    flow: Flow
    """As written; `models` are not put in yet."""
    inputs: dict[str, Any] = field(default_factory=dict)
    models: dict[str, ModelSpec] = field(default_factory=dict)
    budget: Budget | None = None
    """For everything together, over the flow's own budget."""
    data: Path | None = None
    limit: int | None = None
    at_once: int | None = None
    """Items under way at once; None for one, or as many as a server with a prefix cache can choose from."""
    resumes: str = ""
    command: Command = "run"
    """Which command does it; `batch` gives all items of `data` to one run."""
    run: str = field(default_factory=new_run_id)

    @property
    def ready(self) -> Flow:
        """The flow with the models it is to be run with. Raises FlowError for a role it does not have."""
        return with_models([self.flow], self.models)[0]

    def record(self) -> RunRecord:
        """What is remembered before the first call."""
        beside = {
            DATA: None if self.data is None else str(self.data.resolve()),
            LIMIT: self.limit,
            AT_ONCE: self.at_once if self.data is not None else None,
            RESUMES: self.resumes or None,
            COMMAND: None if self.command == "run" else self.command,
            PROCESS: this_process(),
        }
        return RunRecord(
            run=self.run,
            flow=self.flow.name,
            text=self.flow.dump(),
            folder=str(self.flow.base.resolve()),
            inputs={**self.inputs, **{name: value for name, value in beside.items() if value is not None}},
            models={role: spec.model_dump(mode="json", exclude_unset=True) for role, spec in self.models.items()},
            started=time.time(),
            budget=None if self.budget is None else self.budget.model_dump(mode="json", exclude_none=True),
        )

    @classmethod
    def of(cls, record: RunRecord, command: Command = "run") -> Job:
        """The job of an earlier run of this command, to be done again. Raises InputError if it cannot be."""
        beside = {name: value for name, value in record.inputs.items() if name.startswith("@")}
        if COMPARE in beside:
            raise InputError(
                f"run {record.run} is part of a comparison; the same `laconic compare` with its --results goes on"
            )
        its = beside.get(COMMAND, "run")
        if its not in get_args(Command):
            raise InputError(f"run {record.run} is one of `laconic {its}`, which begins anew each time")
        if its != command:
            raise InputError(
                f"run {record.run} is one of `laconic {its}`; go on with: laconic {its} --resume {record.run}"
            )
        try:
            flow = Flow.parse(record.text, name=f"run {record.run}", base=record.folder)
        except FlowError as error:
            raise InputError(f"run {record.run} cannot be resumed: {error}") from error
        data = beside.get(DATA)
        return cls(
            flow=flow,
            inputs=inputs_of(record),
            models={role: ModelSpec(**spec) for role, spec in record.models.items()},
            budget=None if record.budget is None else Budget(**record.budget),
            data=None if data is None else Path(data),
            limit=beside.get(LIMIT),
            at_once=beside.get(AT_ONCE),
            resumes=record.run,
            command=command,
        )

    def complaint(self, fields: Mapping[str, Any]) -> str:
        """Why an item cannot be run; empty if it can."""
        try:
            accept_inputs(self.flow.inputs, self.inputs_for(fields))
        except InputError as error:
            return str(error)
        return ""

    def inputs_for(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """The inputs of one item: its fields that the flow asks for, and what was given for all items."""
        return {**{name: fields[name] for name in self.flow.inputs if name in fields}, **self.inputs}


def inputs_of(record: RunRecord) -> dict[str, Any]:
    """The flow's inputs in a record."""
    return {name: value for name, value in record.inputs.items() if not name.startswith("@")}


def this_process() -> dict[str, Any]:
    """What tells this process from every other, on this machine and later."""
    return {"pid": os.getpid(), "machine": platform.node(), "began": _began(os.getpid())}


def how_it_stands(record: RunRecord) -> str:
    """The status of a run; `interrupted` for one that never said its end and whose process is gone."""
    if record.status != "running":
        return record.status
    process = record.inputs.get(PROCESS)
    if not isinstance(process, dict) or process.get("machine") != platform.node():
        return "running?"
    pid = int(process["pid"])
    try:
        os.kill(pid, 0)
    except PermissionError:
        pass
    except OSError:
        return "interrupted"
    return "running" if process.get("began") == _began(pid) else "interrupted"


def _began(pid: int) -> str:
    """When a process began, in the system's own words; empty where the system does not tell."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""
