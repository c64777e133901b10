"""Readings of a server's counters, as a ledger file keeps them beside the runs they belong to."""

from __future__ import annotations

from typing import Any, Literal
from urllib.parse import urlsplit, urlunsplit

import msgspec

from ..backends.backend import Backend, Counters
from ..backends.settled import PATIENCE, settled_counters
from .schema import READING_COLUMNS

Moment = Literal["before", "after"]


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What a server had counted for one model before the first call of a run or after its last, in tokens."""

    run: str = ""
    server: str
    """Its address, without what may be secret in it; empty for one inside this process."""
    served: str
    """The model's name, as calls have it."""
    backend: str
    """The kind of backend that read it."""
    moment: Moment
    taken: float
    """Unix time, seconds. What was sent later is not in it."""
    computed: int
    cached: int
    generated: int
    requests: int | None = None
    aborted: int | None = None
    samples: int | None = None
    busy: bool = False
    """Whether the server was still at work."""

    @property
    def counters(self) -> Counters:
        """The totals that were read."""
        return Counters(self.computed, self.cached, self.generated, self.requests, self.aborted, self.samples)

    def row(self) -> tuple[Any, ...]:
        """The values in the order of `READING_COLUMNS`."""
        return tuple([getattr(self, name) for name in READING_COLUMNS])

    @classmethod
    def of_row(cls, row: tuple[Any, ...]) -> Reading:
        """The reading whose values in the order of `READING_COLUMNS` are given."""
        values = dict(zip(READING_COLUMNS, row, strict=True))
        return cls(**{**values, "busy": bool(values["busy"])})


async def read(backend: Backend, moment: Moment, patience: float = PATIENCE) -> Reading | None:
    """A reading of the server behind `backend`; None if it publishes no counters. Raises `BackendError`."""
    settled = await settled_counters(backend, patience)
    if settled is None:
        return None
    counters = settled.counters
    return Reading(
        server=address(backend),
        served=backend.model,
        backend=backend.name,
        moment=moment,
        taken=settled.taken,
        computed=counters.computed,
        cached=counters.cached,
        generated=counters.generated,
        requests=counters.requests,
        aborted=counters.aborted,
        samples=counters.samples,
        busy=settled.busy,
    )


def address(backend: Backend) -> str:
    """Where the backend's server is, without user, password, query and fragment; empty if it has no address."""
    url = getattr(backend, "url", "")
    if not url:
        return ""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
