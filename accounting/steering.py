"""How many calls a server is given at once, steered by its own queue.

A server that has more requests than it can run makes the rest wait, in its own order; one that has fewer is idle in
part. So the number follows what the server says it runs and what waits in it, with a few to spare, and never goes below
a floor. Nothing is asked while no call is under way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

import msgspec

from ..backends.load import Load, TellsLoad
from ..errors import BackendError
from .slots import Slots

FLOOR = 4
"""Calls at once that are always allowed."""
EVERY = 0.5
"""Seconds between two looks at the server's queue."""
FULL = 0.95
"""Share of the cache in use at which the server is as good as full."""
ROOM = 0.85
"""Share of the cache in use up to which it has room for more."""

OnLimit = Callable[["Limit"], None]


class Limit(msgspec.Struct, frozen=True):
    """A limit that was chosen, and what it was chosen for."""

    limit: int
    load: Load


class Steering:
    """Changes the limit of `slots` between `floor` and its first value, for as long as calls are under way."""

    def __init__(self, slots: Slots, server: TellsLoad, on_limit: OnLimit | None = None, floor: int = FLOOR) -> None:
        self.slots = slots
        self.most = slots.limit
        self.floor = min(floor, self.most)
        self._server = server
        self._on_limit = on_limit
        self._task: asyncio.Task[None] | None = None
        slots.on_call = self._wake

    def _wake(self) -> None:
        """A call comes: look at the server's queue from now on until none is under way."""
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._steer())

    async def aclose(self) -> None:
        """Stop looking."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _steer(self) -> None:
        while True:
            await asyncio.sleep(EVERY)
            if not self.slots.taken and not self.slots.crowded:
                return
            load = None
            with suppress(BackendError):  # the calls themselves will meet what stands in the way
                load = await self._server.load()
            if load is None:
                continue
            limit = next_limit(self.slots.limit, load, busy=self.slots.crowded, floor=self.floor, most=self.most)
            if limit != self.slots.limit:
                self.slots.resize(limit)
                if self._on_limit is not None:
                    self._on_limit(Limit(limit, load))


def next_limit(limit: int, load: Load, *, busy: bool, floor: int, most: int) -> int:
    """The limit after a look at the server. `busy`: whether calls wait for a slot.

    Too much waits in the server, or its cache is full: what it runs, and a few to spare, and less than before. Nothing
    waits and there is room: a quarter more, if anybody wants it.
    """
    spare = max(2, load.running // 8)
    if load.waiting > spare or load.cache_usage >= FULL:
        limit = min(limit - 1, load.running + spare)
    elif busy and not load.waiting and load.cache_usage < ROOM:
        limit += max(1, limit // 4)
    return max(floor, min(limit, most))
