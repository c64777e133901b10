"""`laconic audit`: the ledger of a run, held against the counters of the servers that answered it."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
import typer

from ..accounting.database import Database
from ..accounting.ledger import Ledger
from ..accounting.proofs import Proofs, calls_around, prove
from ..accounting.readings import Reading
from ..accounting.reconciliation import Reconciliation
from ..accounting.runs import RunRecord
from .errors import FAILED, OK
from .job import how_it_stands
from .options import StoreOption
from .proof import show_proof
from .storage import existing, find_run
from .text import harmless


def audit(
    run: Annotated[str, typer.Argument(metavar="[RUN]", help="A run's id, or the beginning of it.")] = "last",
    store: StoreOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Hold the ledger of a run against its model servers' own counters, model by model. Without RUN, the last one.

    A difference is shown with what accounts for it. Exit status 1 if something is not explained, or not proved.
    """
    with existing(store) as database:
        record = find_run(database, run)
        readings = database.readings(record.run)
        found = _proofs(database, record, readings)
    if as_json:
        sys.stdout.write(json.dumps(_as_data(record, readings, found), ensure_ascii=False, indent=2) + "\n")
    else:
        _show(record, readings, found)
    raise typer.Exit(OK if found.explained else FAILED)


def _proofs(database: Database, record: RunRecord, readings: Sequence[Reading]) -> Proofs:
    """What the readings prove, and of each model that the run asked without a reading, that nothing is proved."""
    found = prove(calls_around(Ledger(database), readings), readings)
    unprovable = {model: f"{why} (the run: {how_it_stands(record)})" for model, why in found.unprovable.items()}
    for call in database.read_calls(record.run):
        if call.sent and call.served not in found.proofs and call.served not in unprovable:
            unprovable[call.served] = (
                "its server was not read around this run: it publishes no counters (`laconic doctor FLOW` tells), it "
                "could not be read, or the run is of before readings were kept"
            )
    return Proofs(found.proofs, unprovable)


def _show(record: RunRecord, readings: Sequence[Reading], found: Proofs) -> None:
    _tell(f"run {record.run}: {how_it_stands(record)}")
    if not found.proofs and not found.unprovable:
        _tell("it sent no call to a model, so there is nothing to prove")
    for model, proof in found.proofs.items():
        _tell(f"\n{model} ({', '.join(_servers(model, readings))}), {_calls(proof)}, tokens:")
        show_proof(proof)
    for model, why in found.unprovable.items():
        _tell(f"\n{model}: nothing is proved: {why}")


def _calls(proof: Reconciliation) -> str:
    answered = f"{proof.total.sent:,} calls"
    return answered if proof.requests is None else f"{answered}, {proof.requests:,} requests finished by the server"


def _servers(model: str, readings: Sequence[Reading]) -> list[str]:
    """The kinds and addresses of the servers of a model."""
    mine = [reading for reading in readings if reading.served == model]
    return list(dict.fromkeys(f"{reading.backend} {reading.server}".rstrip() for reading in mine))


def _as_data(record: RunRecord, readings: Sequence[Reading], found: Proofs) -> dict[str, Any]:
    return {
        "run": record.run,
        "status": how_it_stands(record),
        "explained": found.explained,
        "models": {
            model: {
                "servers": _servers(model, readings),
                "calls": proof.total.sent,
                "requests": proof.requests,
                "server": msgspec.to_builtins(proof.server),
                "ledger": msgspec.to_builtins(proof.ledger),
                "residual": msgspec.to_builtins(proof.residual),
                "equal": proof.closed,
                "explained": proof.explained,
                "explanation": proof.explain(),
            }
            for model, proof in found.proofs.items()
        },
        "unprovable": found.unprovable,
    }


def _tell(line: str) -> None:
    sys.stdout.write(f"{harmless(line)}\n")
