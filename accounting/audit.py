"""Audit: reads what the servers have counted before and after some work, and holds the ledger against it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Self

import msgspec

from ..backends.backend import Backend
from ..backends.settled import PATIENCE
from ..errors import LaconicError
from .ledger import Ledger
from .proofs import Proofs, calls_around, prove
from .readings import Moment, Reading, address, read
from .reconciliation import Reconciliation

FIRST = 1.0
"""Seconds that a first reading may wait at most: nothing of ours is at work yet, and others may go on for ever."""


class Audit:
    """The readings of some models around the calls they answer, and what the ledger says to them.

    async with Audit(ledger, backends) as audit:
        ...
    audit.proofs["qwen"].explained

    A server that cannot be read stops nothing: it is listed in `unprovable`, with the reason. A server that several
    backends speak to for the same model counts once.
    """

    def __init__(self, ledger: Ledger, backends: Iterable[Backend] = (), *, patience: float = PATIENCE) -> None:
        """`patience`: seconds that a server may take to become idle after the work."""
        self._ledger = ledger
        self._given = tuple(backends)
        self._patience = patience
        self._backends: dict[tuple[str, str, str], Backend] = {}
        self._readings: list[Reading] = []
        self._runs: list[str] = []
        self._unread: dict[str, str] = {}

    async def __aenter__(self) -> Self:
        await asyncio.gather(*map(self.include, self._given))
        return self

    async def __aexit__(self, *_: object) -> None:
        """Take the second readings, also of work that failed or was cancelled."""
        await asyncio.gather(*(self._read(backend, "after") for backend in self._backends.values()))

    async def include(self, backend: Backend) -> None:
        """Take the first reading of one more backend; to be awaited before its first call."""
        key = (address(backend) or f"at {id(backend):x}", backend.model, backend.name)
        if key not in self._backends:
            self._backends[key] = backend
            await self._read(backend, "before")

    def keep(self, run: str) -> None:
        """Keep the readings, those to come as well, beside this run in the ledger's file, if it has one."""
        if run not in self._runs:
            self._runs.append(run)
            for reading in self._readings:
                self._write(run, reading)

    @property
    def proofs(self) -> dict[str, Reconciliation]:
        """By the name of the model served: its calls against its server, once the second readings are taken."""
        return {model: proof for model, proof in self._proofs().proofs.items() if model not in self._unread}

    @property
    def unprovable(self) -> dict[str, str]:
        """The models of which nothing is proved, and why."""
        return {**self._proofs().unprovable, **self._unread}

    def _proofs(self) -> Proofs:
        return prove(calls_around(self._ledger, self._readings), self._readings)

    async def _read(self, backend: Backend, moment: Moment) -> None:
        try:
            patience = min(self._patience, FIRST) if moment == "before" else self._patience
            reading = await read(backend, moment, patience)
        except LaconicError as error:
            self._unread[backend.model] = f"its server could not be read: {error}"
            return
        if reading is None:
            self._unread[backend.model] = "its server publishes no counters"
            return
        self._readings.append(reading)
        for run in self._runs:
            self._write(run, reading)

    def _write(self, run: str, reading: Reading) -> None:
        if self._ledger.database is not None:
            self._ledger.database.save_reading(msgspec.structs.replace(reading, run=run))
