"""Room that one call holds in a budget until it is known what the call used."""

from __future__ import annotations

from decimal import Decimal
from types import TracebackType
from typing import TYPE_CHECKING, Self

from ..backends.usage import UNKNOWN, Usage
from .prices import Price
from .waiting import wake

if TYPE_CHECKING:
    from .budget import BudgetScope


class Reservation:
    """Room taken for one call. Ends once: `settle` with what the call used, or `release` if it was never processed.

    As a context manager it books everything it holds if the block ends without either: what is unknown is not zero.
    """

    __slots__ = ("_cost", "_price", "_scope", "_size", "max_tokens", "open", "prompt")

    def __init__(
        self,
        scope: BudgetScope,
        prompt: int,
        max_tokens: int | None,
        size: int,
        cost: Decimal | None,
        price: Price | None,
    ) -> None:
        self._scope, self._size, self._cost, self._price = scope, size, cost, price
        self.prompt = prompt
        self.max_tokens = max_tokens
        """Most tokens the call may generate; None if nothing limits them."""
        self.open = True
        """Whether neither `settle` nor `release` was called yet."""
        for level in scope.chain:
            level.reserved_tokens += size
            level.reserved_calls += 1
            if cost is not None:
                level.reserved_cost += cost

    def settle(self, usage: Usage) -> None:
        """Book what the call really used; for what `usage` leaves unsaid, what was reserved. Raises if ended already.

        A call that used more than was reserved (a server that ignores `max_tokens`) is booked in full: `spent` is the
        truth, even beyond a limit, and then nothing more is granted.
        """
        if not self.open:
            raise RuntimeError("this reservation has ended already: settle it exactly once")
        prompt = self.prompt if usage.prompt is None else usage.prompt
        completion = usage.completion
        if completion is None:
            completion = self.max_tokens or 0
        cost = None
        if self._price is not None:
            cost = self._price.cost(usage)
            if cost is None:
                cost = self._price.worst(prompt, completion)
        self._end(prompt + completion, 1, cost)

    def release(self) -> None:
        """Give everything back: the call used nothing. Does nothing if the reservation has ended already."""
        if self.open:
            self._end(0, 0, None)

    def _end(self, tokens: int, calls: int, cost: Decimal | None) -> None:
        self.open = False
        size, held, crowded = self._size, self._cost, False
        for level in self._scope.chain:
            level.reserved_tokens -= size
            level.spent_tokens += tokens
            level.reserved_calls -= 1
            level.spent_calls += calls
            if held is not None:
                level.reserved_cost -= held
                if cost is not None:
                    level.spent_cost += cost
            if level.waiting:
                crowded = True
        if crowded:
            wake(self._scope.limited)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.open:
            self.settle(UNKNOWN)
