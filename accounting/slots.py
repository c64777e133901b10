"""How many calls of a model are under way at once, and which goes next.

Here it is first come, first served. `prefix_order.PrefixSlots` chooses differently; `steering` changes the number.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

from ..backends.backend import Count
from ..backends.request import Completion, Delta, OnDelta, Request
from .call import Owner

Counting = Callable[[Request], Awaitable[Count]]
"""`Backend.count`."""


class Waiting:
    """A call on its way to a slot, and in it. `async with` it: the body runs when its turn has come."""

    __slots__ = ("_slots", "_turn", "completion", "count", "owner", "request")

    def __init__(self, slots: Slots, request: Request, owner: Owner, count: Count | None) -> None:
        self._slots = slots
        self._turn: asyncio.Future[None] | None = None
        self.request = request
        self.owner = owner
        self.count = count
        """Its prompt, if it was counted."""
        self.completion: Completion | None = None
        """What came of it; whoever made the call says so before the slot is given back."""

    def watched(self, on_delta: OnDelta | None) -> OnDelta | None:
        """What is to be told of the pieces of its answer."""
        return on_delta

    async def __aenter__(self) -> Self:
        slots = self._slots
        if slots.on_call is not None:
            slots.on_call()
        if slots.admits(self):
            slots.taken += 1
            return self
        turn = self._turn = asyncio.get_running_loop().create_future()
        slots.line_up(self)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # its turn had come in the same moment
                slots.give_back(self)
            else:
                slots.step_out(self)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._slots.give_back(self)

    def call_up(self) -> bool:
        """Its turn has come; whether it is still there."""
        turn = self._turn
        if turn is None or turn.done():
            return False
        turn.set_result(None)
        return True


class Slots:
    """Places for so many calls at once.

    Invariant: `taken` calls are under way; no more than `limit` begin, though a limit that was lowered waits for those
    that are under way already.
    """

    horizon: int | None = None
    """How many calls it is worth to let come, so as to choose among them; None where nothing is chosen."""

    def __init__(self, limit: int) -> None:
        if limit < 1:
            raise ValueError(f"at least 1 call must be allowed at once, not {limit}")
        self.limit = limit
        self.taken = 0
        self.on_call: Callable[[], None] | None = None
        """Told of every call that comes."""
        self._line: deque[Waiting] = deque()

    async def place(self, request: Request, owner: Owner, count: Count | None, counting: Counting) -> Waiting:
        """A place in the line. `count` is that of the prompt, if it is known; `counting` makes it, where it helps."""
        return Waiting(self, request, owner, count)

    @property
    def crowded(self) -> bool:
        """Whether calls wait for a slot."""
        return bool(self._line)

    def resize(self, limit: int) -> None:
        """Allow another number of calls at once."""
        self.limit = limit
        self.fill()

    def admits(self, call: Waiting) -> bool:
        """Whether a call that has just come may begin at once."""
        return self.taken < self.limit and not self._line

    def line_up(self, call: Waiting) -> None:
        """A call begins to wait."""
        self._line.append(call)

    def step_out(self, call: Waiting) -> None:
        """A call that waits is given up."""
        with suppress(ValueError):  # it may have been called up in vain already
            self._line.remove(call)

    def give_back(self, call: Waiting) -> None:
        """A call has ended."""
        self.taken -= 1
        self.fill()

    def fill(self) -> None:
        """Let those begin whose turn has come."""
        while self.taken < self.limit and self._line:
            if self._line.popleft().call_up():
                self.taken += 1


def first_piece(then: Callable[[], None], on_delta: OnDelta | None) -> OnDelta:
    """Calls `then` at the first piece of an answer, and tells `on_delta` of all."""
    told = False

    def tell(delta: Delta) -> None:
        nonlocal told
        if not told:
            told = True
            then()
        if on_delta is not None:
            on_delta(delta)

    return tell
