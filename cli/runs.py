"""`laconic runs`: what was run, and how it ended."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from ..accounting.runs import RunRecord
from ..accounting.totals import Total
from .job import DATA, RESUMES, how_it_stands, inputs_of
from .options import StoreOption
from .storage import existing
from .tables import show_table, totals_as_data
from .text import one_line


def runs(
    store: StoreOption = None,
    limit: Annotated[int, typer.Option("--limit", min=1, metavar="N", help="Only the latest N.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the latest runs. One that was killed is `interrupted`; the same command with `--resume RUN` goes on with it.

    A run's id begins with the date and time of its start.
    """
    with existing(store) as database:
        records = database.runs()[:limit]
        totals = {record.run: Total.of(database.read_calls(record.run)) for record in records}
    if as_json:
        found = [_as_data(record, totals[record.run]) for record in records]
        sys.stdout.write(json.dumps(found, ensure_ascii=False, indent=2) + "\n")
        return
    head = ("run", "flow", "status", "about", "tokens", "avoided", "seconds")
    show_table(head, [_row(record, totals[record.run]) for record in records], left=4)


def _row(record: RunRecord, total: Total) -> list[str]:
    seconds = "" if record.finished is None else f"{record.finished - record.started:,.1f}"
    avoided = total.avoided_prompt + total.avoided_completion
    return [
        record.run,
        record.flow,
        how_it_stands(record),
        _about(record),
        total.show("total"),
        f"{avoided:,}" if avoided else "",
        seconds,
    ]


def _about(record: RunRecord) -> str:
    words = []
    if RESUMES in record.inputs:
        words.append(f"resumes {record.inputs[RESUMES]}")
    if DATA in record.inputs:
        words.append(Path(record.inputs[DATA]).name)
        if record.outputs and "ok" in record.outputs:
            words.append(f"{record.outputs['ok']} of {record.outputs.get('items')} ok")
    else:
        words += [f"{name}={value}" for name, value in inputs_of(record).items()]
    return one_line(", ".join(words), 48)


def _as_data(record: RunRecord, total: Total) -> dict[str, Any]:
    return {
        "run": record.run,
        "flow": record.flow,
        "status": how_it_stands(record),
        "started": record.started,
        "finished": record.finished,
        "inputs": inputs_of(record),
        "data": record.inputs.get(DATA),
        "resumes": record.inputs.get(RESUMES),
        "budget": record.budget,
        "outputs": record.outputs,
        "error": record.error,
        "totals": totals_as_data(total),
    }
