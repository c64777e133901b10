"""A budget is a wall: what a call may use at most is reserved before it is sent, and settled to what it used after.

`Budget` is what a flow says; `BudgetScope` is one running budget (of a run, a node, an item) and stands under its
parent. A `Reservation` counts against its scope and every scope above it, all at once or not at all.

Invariants, at every scope and every moment, as long as no call uses more than was reserved for it:

* spent + reserved <= limit;
* a call waits only while an open reservation stands in its way, so nobody waits for ever;
* who waits is served in order: nobody who came later and needs the same scope goes before.

All of it belongs to one event loop; nothing here is safe to call from other threads.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from decimal import Decimal
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from ..errors import BudgetExceeded, FlowError
from .prices import Price
from .reservation import Reservation
from .waiting import Waiter, wait

__all__ = ["Amount", "Budget", "BudgetScope", "Left", "Reservation"]

ZERO = Decimal(0)


class Budget(BaseModel):
    """Limits, all optional, all positive. In a flow file: `budget: {tokens: 6000, seconds: 120}`. Immutable."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tokens: int | None = Field(default=None, gt=0)
    """Prompt and completion tokens together, cached ones included."""
    calls: int | None = Field(default=None, gt=0)
    """Attempts sent to a model; retries count."""
    cost: Decimal | None = Field(default=None, gt=0, allow_inf_nan=False)
    """Dollars; every model in reach then needs a price."""
    seconds: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """Wall-clock time since the scope was opened."""


class Amount(NamedTuple):
    """Tokens, calls and dollars."""

    tokens: int
    calls: int
    cost: Decimal


class Left(NamedTuple):
    """Tokens, calls and dollars that can still be reserved; None where nothing limits them."""

    tokens: int | None
    calls: int | None
    cost: Decimal | None


class BudgetScope:
    """One running budget. `name` (`run`, `node answer`) appears in messages; `clock` gives monotonic seconds."""

    __slots__ = (
        "_calls", "_clock", "_cost", "_ends", "_started", "_tokens", "budget", "chain", "deadline", "limited", "name",
        "parent", "reserved_calls", "reserved_cost", "reserved_tokens", "spent_calls", "spent_cost", "spent_tokens",
        "waiting",
    )  # fmt: skip

    def __init__(
        self,
        budget: Budget,
        name: str,
        parent: BudgetScope | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.budget, self.name, self.parent = budget, name, parent
        self._clock = clock
        self._tokens, self._calls, self._cost = budget.tokens, budget.calls, budget.cost
        self.spent_tokens = self.reserved_tokens = self.spent_calls = self.reserved_calls = 0
        self.spent_cost = self.reserved_cost = ZERO
        self.waiting: list[Waiter] = []
        """Who waits for room in this very scope, in order."""
        self.chain: tuple[BudgetScope, ...] = (self,) if parent is None else (self, *parent.chain)
        limited = budget.tokens is not None or budget.calls is not None or budget.cost is not None
        above = () if parent is None else parent.limited
        self.limited: tuple[BudgetScope, ...] = (self, *above) if limited else above
        """The scopes from here up that limit tokens, calls or cost."""
        self._started = clock()
        self._ends = None if budget.seconds is None else self._started + budget.seconds
        ends = [scope._ends for scope in self.chain if scope._ends is not None]
        self.deadline: float | None = min(ends) if ends else None
        """When this scope or one above it runs out of time, on its clock; None: never."""

    @property
    def spent(self) -> Amount:
        """What settled calls used. Cost counts only calls whose model has a price."""
        return Amount(self.spent_tokens, self.spent_calls, self.spent_cost)

    @property
    def reserved(self) -> Amount:
        """What calls on their way may use at most."""
        return Amount(self.reserved_tokens, self.reserved_calls, self.reserved_cost)

    @property
    def left(self) -> Left:
        """What can be reserved right now, here and at every scope above."""
        tokens = [s._tokens - s.spent_tokens - s.reserved_tokens for s in self.limited if s._tokens is not None]
        calls = [s._calls - s.spent_calls - s.reserved_calls for s in self.limited if s._calls is not None]
        cost = [s._cost - s.spent_cost - s.reserved_cost for s in self.limited if s._cost is not None]
        return Left(
            max(0, min(tokens)) if tokens else None,
            max(0, min(calls)) if calls else None,
            max(ZERO, min(cost)) if cost else None,
        )

    @property
    def counts_tokens(self) -> bool:
        """Whether a limit here or above needs to know a prompt's tokens before the call is sent."""
        return any(scope._tokens is not None or scope._cost is not None for scope in self.limited)

    async def reserve(
        self, prompt: int, max_tokens: int | None = None, least: int = 1, price: Price | None = None
    ) -> Reservation:
        """Take room for one call of `prompt` tokens and up to `max_tokens` more, here and at every scope above.

        The `max_tokens` granted are fewer if settled spending leaves fewer, but never under `least`. Where open
        reservations stand in the way, waits for them to end. Raises `BudgetExceeded` if the call would not fit even if
        they all turned out unused, or if the time is over; `FlowError` if cost is limited and the model has no price.
        """
        reservation = self.try_reserve(prompt, max_tokens, least, price)
        if reservation is None:
            reservation = await wait(self, prompt, max_tokens, least, price)
        return reservation

    def try_reserve(
        self, prompt: int, max_tokens: int | None = None, least: int = 1, price: Price | None = None
    ) -> Reservation | None:
        """`reserve` without waiting: None where `reserve` would wait."""
        allowed = self.allowed(prompt, max_tokens, least, price)
        size = prompt if allowed is None else prompt + allowed
        cost = None if price is None else price.worst(prompt, allowed or 0)
        for scope in self.limited:
            if scope.waiting or not scope.has_room(size, cost):
                return None
        return Reservation(self, prompt, allowed, size, cost, price)

    @property
    def seconds_left(self) -> float | None:
        """Seconds until `deadline`, 0 if it has passed, None if there is none."""
        return None if self.deadline is None else max(0.0, self.deadline - self._clock())

    def allowed(self, prompt: int, max_tokens: int | None, least: int, price: Price | None) -> int | None:
        """The `max_tokens` that would fit if every open reservation turned out unused; raises if fewer than `least`."""
        if self.deadline is not None and self._clock() >= self.deadline:
            raise self.too_late()
        if max_tokens is not None and max_tokens < least:
            least = max_tokens
        tokens = max_tokens
        for scope in self.limited:
            if scope._tokens is not None:
                fit = scope._tokens - scope.spent_tokens - prompt
                if fit < least:
                    raise scope._exceeded("tokens", scope._tokens, scope.spent_tokens, prompt + least)
                if tokens is None or fit < tokens:
                    tokens = fit
            if scope._calls is not None and scope.spent_calls >= scope._calls:
                raise scope._exceeded("calls", scope._calls, scope.spent_calls, 1)
            if scope._cost is not None:
                if price is None:
                    raise FlowError(
                        f"the budget of {scope.name} limits cost, but this model has no price: unknown is not free. "
                        "Give the model a price (`price: {prompt: ..., completion: ...}`, dollars per million tokens)"
                    )
                affordable = price.affords(scope._cost - scope.spent_cost, prompt)
                if affordable is not None:
                    if affordable < least:
                        raise scope._exceeded("dollars", scope._cost, scope.spent_cost, price.worst(prompt, least))
                    if tokens is None or affordable < tokens:
                        tokens = affordable
        return tokens

    def take(
        self, prompt: int, allowed: int | None, size: int, cost: Decimal | None, price: Price | None
    ) -> Reservation:
        """Reserve without asking; for those who have made sure that there is room."""
        return Reservation(self, prompt, allowed, size, cost, price)

    def has_room(self, size: int, cost: Decimal | None) -> bool:
        """Whether one more call of `size` tokens fits beside what is spent and reserved in this scope alone."""
        if self._tokens is not None and self.spent_tokens + self.reserved_tokens + size > self._tokens:
            return False
        if self._calls is not None and self.spent_calls + self.reserved_calls >= self._calls:
            return False
        return self._cost is None or cost is None or self.spent_cost + self.reserved_cost + cost <= self._cost

    def blocker(self, size: int, cost: Decimal | None, order: int) -> BudgetScope | None:
        """The topmost scope, from here up, in which a call has no room or somebody waits who came earlier."""
        for scope in reversed(self.limited):
            if (scope.waiting and scope.waiting[0].order < order) or not scope.has_room(size, cost):
                return scope
        return None

    def _exceeded(self, unit: str, limit: Decimal | int, spent: Decimal | int, needed: Decimal | int) -> BudgetExceeded:
        key = "cost" if unit == "dollars" else unit
        text = (
            f"the budget of {self.name} is {_figure(limit)} {unit}; {_figure(spent)} are spent and this call needs "
            f"{_figure(needed)} or more: it was not sent. Raise `budget: {{{key}: ...}}` of {self.name} to "
            f"{_figure(spent + needed)}, or ask for less"
        )
        return BudgetExceeded(
            text, scope=self.name, unit=unit, limit=float(limit), spent=float(spent), needed=float(needed)
        )

    def too_late(self) -> BudgetExceeded:
        """The error that blames the scope whose time is over first."""
        scope = next(scope for scope in self.chain if scope._ends == self.deadline)
        limit, spent = scope.budget.seconds or 0.0, scope._clock() - scope._started
        text = (
            f"the budget of {scope.name} is {limit:g} seconds and {spent:.1f} have passed. The call was not sent. "
            f"Raise `budget: {{seconds: ...}}` of {scope.name}"
        )
        return BudgetExceeded(text, scope=scope.name, unit="seconds", limit=limit, spent=spent)


def _figure(amount: Decimal | int) -> str:
    return f"{amount:,}" if isinstance(amount, int) else f"{amount.normalize():,f}"
