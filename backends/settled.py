"""A reading of a server's counters that holds: taken when the server is idle and has recorded what it did.

vLLM records a request's tokens a moment after it has answered, and a request whose client went away ends a moment
after that. No server tells when that moment has passed, so it is asked again until nothing changes.
"""

from __future__ import annotations

import asyncio
import time

import msgspec

from ..errors import BackendTimeout
from .backend import Backend, Counters

STEP = 0.05
"""Seconds between two readings that have to agree."""
PATIENCE = 5.0
"""Seconds that a server may take to become idle."""
SLOWEST = 10.0
"""Seconds that a single reading may take."""


class Settled(msgspec.Struct, frozen=True):
    """What the server had counted at `taken` (Unix time, seconds)."""

    counters: Counters
    taken: float
    busy: bool
    """Whether the server was still at work when the patience was over: then it has more to count."""


async def settled_counters(backend: Backend, patience: float = PATIENCE) -> Settled | None:
    """The server's totals, read until it is idle and two readings agree, for at most `patience` seconds.

    None if the server publishes none. Raises `BackendError` if it cannot be read or takes too long to answer.
    """
    last = await _reading(backend)
    ends = time.monotonic() + patience
    while last is not None:
        await asyncio.sleep(STEP)
        found = await _reading(backend)
        if found is not None and found.counters == last.counters and not found.counters.busy:
            return msgspec.structs.replace(found, busy=False)
        last = found
        if time.monotonic() > ends:
            break
    return last


async def _reading(backend: Backend) -> Settled | None:
    taken = time.time()
    try:
        async with asyncio.timeout(SLOWEST):
            counters = await backend.counters()
    except TimeoutError as error:
        raise BackendTimeout(
            f"The server of {backend.model!r} did not give its counters within {SLOWEST:g} s."
        ) from error
    return None if counters is None else Settled(counters, taken, busy=True)
