"""Meter: the one door to the models. Nothing else in Laconic calls `Backend.complete`.

A call is answered from the store if it may be; waits if the same call is under way already; otherwise its prompt is
counted, it takes one of the model's slots, reserves its tokens from every enclosing budget, and is attempted.
Every attempt, good or bad, appends one `Call` to the ledger, and the budget is settled to what was really used.

Invariants: one attempt, one `Call`; a reservation is settled exactly once; an answer that was not sent for is entered
with status `replayed`, no usage, and the tokens it avoided.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable

import msgspec

from ..backends.backend import Backend, Count
from ..backends.request import Completion, OnDelta, Request
from ..backends.usage import NOTHING, UNKNOWN, Usage
from ..errors import BackendError, BackendTimeout, RateLimited
from .budget import BudgetScope, Reservation
from .call import Call, Owner, Status
from .ledger import Ledger
from .prices import Price
from .slots import Slots, Waiting
from .store import Store, request_key

LONGEST_WAIT = 60.0
"""Seconds a retry waits at most, whatever the server's Retry-After says."""


class MeteredModel:
    """A model as the meter sees it: a backend, how many calls it takes at once, what a token of it costs."""

    __slots__ = ("backend", "price", "retries", "role", "slots")

    def __init__(
        self,
        role: str,
        backend: Backend,
        *,
        concurrency: int | None = None,
        price: Price | None = None,
        retries: int = 2,
    ) -> None:
        self.role = role
        self.backend = backend
        self.slots = Slots(concurrency) if concurrency else None
        """Who is let through, and when; None lets everybody through."""
        self.price = price
        self.retries = retries


class Meter:
    """Sends calls and books them. `reuse` says whether answers that the store has already may be used again."""

    def __init__(
        self,
        ledger: Ledger,
        *,
        store: Store | None = None,
        reuse: bool = False,
        on_call: Callable[[Call], None] | None = None,
    ) -> None:
        self.ledger = ledger
        self.store = store
        self.reuse = reuse
        self._on_call = on_call
        self._flying: dict[str, asyncio.Future[Completion | BackendError | None] | None] = {}

    async def complete(
        self,
        model: MeteredModel,
        request: Request,
        *,
        owner: Owner,
        purpose: str = "answer",
        scope: BudgetScope | None = None,
        on_delta: OnDelta | None = None,
        instruction: int | None = None,
    ) -> Completion:
        """Answer `request`; raises BackendError when all attempts failed, BudgetExceeded when the call does not fit.

        `instruction`: how many of its prompt's tokens are the same in every call of its batch, if they were counted.
        """
        key = request_key(request, owner)
        asked = _Asked(model, request, owner, purpose, scope, on_delta, key, instruction)
        if self.reuse and self.store is not None:
            stored = self.store.get(key)
            if stored is not None:
                self._enter(asked.replayed(stored))
                return stored
        flying = self._flying
        while key in flying:
            waiting = flying[key]
            if waiting is None:
                waiting = flying[key] = asyncio.get_running_loop().create_future()
            outcome = await asyncio.shield(waiting)
            if isinstance(outcome, Completion):
                self._enter(asked.replayed(outcome))
                return outcome
            if outcome is not None:
                raise outcome
        flying[key] = None
        settled: Completion | BackendError | None = None
        try:
            settled = await self._attempts(asked)
            return settled
        except BackendError as error:
            settled = error
            raise
        finally:
            followers = flying.pop(key)
            if followers is not None and not followers.done():
                followers.set_result(settled)

    async def _attempts(self, asked: _Asked) -> Completion:
        model, count = asked.model, None
        attempt = 1
        while True:
            try:
                if count is None and asked.scope is not None and asked.scope.counts_tokens:
                    count = await model.backend.count(asked.request)
                if model.slots is None:
                    return await self._attempt(asked, attempt, count, None)
                place = await model.slots.place(asked.request, asked.owner, count, model.backend.count)
                count = place.count
                async with place:
                    return await self._attempt(asked, attempt, count, place)
            except BackendError as error:
                if not error.retryable or attempt > model.retries:
                    raise
                await asyncio.sleep(_patience(error, attempt))
            attempt += 1

    async def _attempt(self, asked: _Asked, attempt: int, count: Count | None, place: Waiting | None) -> Completion:
        sent = request = asked.request
        on_delta = asked.on_delta if place is None else place.watched(asked.on_delta)
        reservation: Reservation | None = None
        if asked.scope is not None:
            reservation = await asked.scope.reserve(
                prompt=count.tokens if count is not None else 0,  # none where no budget needs to know
                max_tokens=request.max_tokens,
                price=asked.model.price,
            )
            if reservation.max_tokens != request.max_tokens:
                sent = msgspec.structs.replace(request, max_tokens=reservation.max_tokens)
        started = time.time()
        clock = time.perf_counter()
        usage: Usage = UNKNOWN
        status: Status = "failed"
        completion: Completion | None = None
        problem = ""
        try:
            completion = await asked.model.backend.complete(sent, on_delta)
            usage, status = completion.usage, "ok"
        except BackendError as error:
            completion = error.partial
            usage = completion.usage if completion is not None else NOTHING if error.spent_nothing else UNKNOWN
            status = "timeout" if isinstance(error, BackendTimeout) else "failed"
            problem = str(error)
            raise
        except asyncio.CancelledError as error:
            completion = getattr(error, "partial", None)
            usage = completion.usage if completion is not None else UNKNOWN
            status = "aborted"
            raise
        except Exception as error:
            problem = f"{type(error).__name__}: {error}"
            raise
        finally:
            if reservation is not None:
                reservation.settle(usage)
            if place is not None:
                place.completion = completion
            seconds = time.perf_counter() - clock
            self._enter(asked.attempted(attempt, status, usage, started, seconds, completion, problem))
        # An answer that a budget cut short is not the answer to the request as it was asked.
        if self.store is not None and (sent is request or completion.finish_reason != "length"):
            self.store.put(asked.key, request, completion)
        return completion

    def _enter(self, call: Call) -> None:
        self.ledger.append(call)
        if self._on_call is not None:
            self._on_call(call)


class _Asked(msgspec.Struct, frozen=True, gc=False):
    """One call as it was asked for, whatever becomes of it."""

    model: MeteredModel
    request: Request
    owner: Owner
    purpose: str
    scope: BudgetScope | None
    on_delta: OnDelta | None
    key: str
    instruction: int | None

    def replayed(self, completion: Completion) -> Call:
        """The entry of an answer that was there already: nothing was sent, its tokens were avoided."""
        call = Call(
            self.owner.run,
            self.owner.node,
            self.owner.item,
            self.owner.agent,
            model=self.model.role,
            served=self.model.backend.model,
            backend=self.model.backend.name,
            purpose=self.purpose,
            attempt=0,
            status="replayed",
            usage=NOTHING,
            avoided=completion.usage,
            started=time.time(),
            finish_reason=completion.finish_reason,
            request_hash=self.key,
        )
        return self._with_instruction(call)

    def attempted(
        self,
        attempt: int,
        status: Status,
        usage: Usage,
        started: float,
        seconds: float,
        completion: Completion | None,
        problem: str = "",
    ) -> Call:
        """The entry of an attempt; `completion` is what came of it, wholly or in part."""
        # The owner goes by position: a call with more arguments by name than this is several times slower in CPython.
        call = Call(
            self.owner.run,
            self.owner.node,
            self.owner.item,
            self.owner.agent,
            model=self.model.role,
            served=self.model.backend.model,
            backend=self.model.backend.name,
            purpose=self.purpose,
            attempt=attempt,
            status=status,
            usage=usage,
            seconds=seconds,
            first_token_seconds=completion.first_token_seconds if completion is not None else None,
            started=started,
            finish_reason=completion.finish_reason if completion is not None else "",
            error=problem,
            request_hash=self.key,
        )
        return self._with_instruction(call)

    def _with_instruction(self, call: Call) -> Call:
        # For the same reason only a call whose instruction was counted is told of it, afterwards.
        return call if self.instruction is None else msgspec.structs.replace(call, instruction=self.instruction)


def _patience(error: BackendError, attempt: int) -> float:
    """Seconds before the next attempt: what the server asked for, else doubling from half a second, with jitter."""
    if isinstance(error, RateLimited) and error.retry_after is not None:
        return min(error.retry_after, LONGEST_WAIT)
    return min(0.5 * 2.0 ** (attempt - 1), LONGEST_WAIT) * random.uniform(0.5, 1.0)
