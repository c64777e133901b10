"""The queue before a budget: who waits for room, in which order they get it, and how they leave without a trace.

A waiter stands in the queue of the topmost scope that blocks it. That is enough for fairness: a newcomer that needs any
scope below passes through the same scope and finds the queue. When room returns, the heads of the queues that the freed
room belongs to are tried in the order of their arrival; one that is now blocked elsewhere moves to that queue and keeps
its place in the order. Waking costs time in proportion to those who can go, not to those who wait.
"""

from __future__ import annotations

import asyncio
import itertools
from bisect import insort
from typing import TYPE_CHECKING

from ..errors import BudgetExceeded

if TYPE_CHECKING:
    from .budget import BudgetScope
    from .prices import Price
    from .reservation import Reservation

_orders = itertools.count()


class Waiter:
    """A call that asked `scope` for room and waits for it. Waiters sort by arrival."""

    __slots__ = ("future", "least", "max_tokens", "order", "price", "prompt", "queue", "scope")

    def __init__(
        self, scope: BudgetScope, prompt: int, max_tokens: int | None, least: int, price: Price | None
    ) -> None:
        self.scope, self.prompt, self.max_tokens, self.least, self.price = scope, prompt, max_tokens, least, price
        self.order = next(_orders)
        self.future: asyncio.Future[Reservation] = asyncio.get_running_loop().create_future()
        self.queue: list[Waiter] | None = None

    def __lt__(self, other: Waiter) -> bool:
        return self.order < other.order

    def advance(self) -> BudgetScope | None:
        """Leave with a reservation or an error, or stand in the queue of the scope that blocks, which is returned."""
        if self.future.done():  # cancelled, and its task has not run since
            self.leave()
            return None
        try:
            allowed = self.scope.allowed(self.prompt, self.max_tokens, self.least, self.price)
        except BudgetExceeded as error:
            self.leave()
            self.future.set_exception(error)
            return None
        size = self.prompt + (allowed or 0)
        cost = None if self.price is None else self.price.worst(self.prompt, allowed or 0)
        blocker = self.scope.blocker(size, cost, self.order)
        if blocker is None:
            self.leave()
            self.future.set_result(self.scope.take(self.prompt, allowed, size, cost, self.price))
        elif self.queue is not blocker.waiting:
            self.leave()
            insort(blocker.waiting, self)
            self.queue = blocker.waiting
        return blocker

    def leave(self) -> None:
        """Stand in no queue."""
        if self.queue is not None:
            self.queue.remove(self)
            self.queue = None


async def wait(scope: BudgetScope, prompt: int, max_tokens: int | None, least: int, price: Price | None) -> Reservation:
    """Wait for room in `scope`; see `BudgetScope.reserve`. A wait that is cancelled takes nothing and blocks nobody."""
    waiter = Waiter(scope, prompt, max_tokens, least, price)
    waiter.advance()
    try:
        async with asyncio.timeout(scope.seconds_left):
            return await waiter.future
    except (asyncio.CancelledError, TimeoutError) as interruption:
        if waiter.future.done() and not waiter.future.cancelled():
            # Served in the same tick as interrupted: what was granted goes back, what was refused is known.
            if waiter.future.exception() is None:
                waiter.future.result().release()
        else:
            waiter.leave()
            wake(scope.limited)
        if isinstance(interruption, TimeoutError):
            raise scope.too_late() from None
        raise


def wake(scopes: tuple[BudgetScope, ...]) -> None:
    """Serve those who wait for room in `scopes`, which has just grown, in the order of their arrival."""
    stuck: set[int] = set()
    while heads := [scope.waiting[0] for scope in scopes if scope.waiting and id(scope) not in stuck]:
        head = min(heads)
        queue = head.queue
        blocker = head.advance()
        if blocker is not None and blocker.waiting is queue:
            stuck.add(id(blocker))
