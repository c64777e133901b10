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


class Settled(msgspec.Struct, frozen=True):
    """What the server had counted at `taken` (Unix time, seconds)."""

    counters: Counters
    taken: float
    busy: bool = False
    """Whether the server was still at work when the patience was over: then it has more to count."""


async def settled_counters(backend: Backend, patience: float = PATIENCE) -> Settled | None:
    """The server's totals, read until it is idle and two readings agree, for at most `patience` seconds.

    None if the server publishes none. Raises `BackendError` if it cannot be read, and `BackendTimeout`, which is one,
    if it does not give a single reading in that time.
    """
    last: Settled | None = None
    try:
        async with asyncio.timeout(patience):
            while True:
                taken = time.time()
                counters = await backend.counters()
                if counters is None:
                    return None
                if last is not None and last.counters == counters and not counters.busy:
                    return Settled(counters, taken)
                last = Settled(counters, taken, busy=True)
                await asyncio.sleep(STEP)
    except TimeoutError as error:
        if last is None:
            raise BackendTimeout(
                f"The server of {backend.model!r} did not give its counters within {patience:g} s."
            ) from error
        return last
