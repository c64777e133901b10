"""Proofs: the calls of a ledger against the readings of its servers, model by model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import reduce
from operator import add

import msgspec

from ..backends.backend import Counters
from .call import Call
from .ledger import Ledger
from .readings import Reading
from .reconciliation import Reconciliation, reconcile


class Proofs(msgspec.Struct, frozen=True):
    """What could be held against the servers' counters, by the name of the model served, and what could not."""

    proofs: dict[str, Reconciliation]
    unprovable: dict[str, str]
    """Name of a model -> why nothing is proved of it."""

    @property
    def explained(self) -> bool:
        """Whether every model was proved, and every residual is explained."""
        return not self.unprovable and all(proof.explained for proof in self.proofs.values())


def calls_around(ledger: Ledger, readings: Sequence[Reading]) -> Sequence[Call]:
    """The calls of all runs of a ledger, and of its file, that began between the first and the last of `readings`."""
    moments = [reading.taken for reading in readings]
    return ledger.began_within(min(moments), max(moments)) if moments else []


def prove(calls: Sequence[Call], readings: Iterable[Reading]) -> Proofs:
    """Hold `calls` against `readings`, which are of the same moments.

    The calls of a model are those of its name and kind of backend that began between the readings, whatever run they
    belong to. Where several servers serve a model of the same name their counters are added up, for calls do not say
    which of them answered.
    """
    by_model: dict[str, list[Reading]] = {}
    for reading in readings:
        by_model.setdefault(reading.served, []).append(reading)
    proofs: dict[str, Reconciliation] = {}
    unprovable: dict[str, str] = {}
    for served, mine in by_model.items():
        before = [reading for reading in mine if reading.moment == "before"]
        after = [reading for reading in mine if reading.moment == "after"]
        lacking = _lacking(before, after)
        if lacking:
            unprovable[served] = lacking
        else:
            proofs[served] = reconcile_readings(calls, before, after)
    return Proofs(proofs, unprovable)


def reconcile_readings(calls: Sequence[Call], before: Sequence[Reading], after: Sequence[Reading]) -> Reconciliation:
    """Hold those of `calls` that began between the readings of one model's servers against what these counted."""
    begin, end = min(reading.taken for reading in before), max(reading.taken for reading in after)
    models = {(reading.served, reading.backend) for reading in (*before, *after)}
    within = [call for call in calls if begin <= call.started <= end and (call.served, call.backend) in models]
    busy = any(reading.busy for reading in (*before, *after))
    return reconcile(within, _together(before), _together(after), busy=busy)


def _together(readings: Sequence[Reading]) -> Counters:
    """The counters of all servers, each once, even if backends of several kinds read it."""
    servers = {reading.server or place: reading.counters for place, reading in enumerate(readings)}
    return reduce(add, servers.values())


def _lacking(before: Sequence[Reading], after: Sequence[Reading]) -> str:
    """Why the readings of a model are no pairs; empty if they are."""
    first, second = (sorted(reading.server for reading in side) for side in (before, after))
    if first == second:
        return ""
    if len(second) < len(first):
        return (
            "its server was read before the first call and not after the last: the run was killed, or the server gone"
        )
    return "its server was read after the last call and not before the first"
