"""Runtime: what runs share. Open models, the ledger, the store, the meter."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Self
from weakref import WeakKeyDictionary

from ..accounting.call import Call
from ..accounting.ledger import Ledger
from ..accounting.meter import Meter, MeteredModel
from ..accounting.store import Store
from ..backends.backend import Backend
from ..backends.opening import open_backend
from .events import CallCharged, OnEvent
from .models import ModelSpec

if TYPE_CHECKING:
    from .flow import Flow

AT_ONCE = {"local": 4, "openai": 64, "vllm": 256}
"""Calls under way at once, by kind of backend, where a model's spec does not say."""

OnOpen = Callable[[Backend], Awaitable[None]]
"""Told of every backend that a runtime opens."""


class Runtime:
    """Opens each model once, however many runs use it, and closes what it opened.

    async with Runtime() as runtime:
        await flow.run(question="...", runtime=runtime)
    """

    def __init__(
        self,
        *,
        ledger: Ledger | None = None,
        store: Store | None = None,
        reuse: bool = False,
        backends: Mapping[str, Backend] | None = None,
        on_event: OnEvent | None = None,
        on_open: OnOpen | None = None,
    ) -> None:
        """`reuse`: answers in `store` may be used again. `backends`: these play their roles, whatever a flow says.

        `on_open` is awaited for every backend that is opened, before its first call.
        """
        self.ledger = ledger if ledger is not None else Ledger()
        self.store = store
        self.on_event = on_event
        self._on_open = on_open
        self.meter = Meter(self.ledger, store=store, reuse=reuse, on_call=self._charged if on_event else None)
        self._given = dict(backends or {})
        self._opened: dict[str, Backend] = {}
        self._flows: WeakKeyDictionary[Flow, dict[str, MeteredModel]] = WeakKeyDictionary()
        self._roles: dict[tuple[str, str], MeteredModel] = {}
        self._limiters: dict[str, asyncio.Semaphore | None] = {}
        self._opening = asyncio.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close every backend this runtime opened; those it was given stay open."""
        opened, self._opened = self._opened, {}
        self._roles.clear()
        self._flows.clear()
        for backend in opened.values():
            await backend.aclose()

    async def models(self, flow: Flow) -> dict[str, MeteredModel]:
        """The flow's models by role, opened. Raises what opening raises: no such file, server or model."""
        known = self._flows.get(flow)
        if known is None:
            known = {role: await self.model(role, flow.models.get(role)) for role in {**flow.models, **self._given}}
            self._flows[flow] = known
        return known

    async def model(self, role: str, spec: ModelSpec | None) -> MeteredModel:
        """One model, opened at its first use; roles with equal specs share a backend and its limiter."""
        identity = spec.model_dump_json() if spec is not None and role not in self._given else ""
        known = self._roles.get((role, identity))
        if known is None:
            async with self._opening:
                backend = self._given.get(role) or await self._open(spec, identity)
            known = MeteredModel(role, backend)
            if spec is not None:
                known.price, known.retries = spec.price, spec.retries
                known.limiter = self._limiter(spec, identity)
            self._roles[role, identity] = known
        return known

    async def _open(self, spec: ModelSpec | None, identity: str) -> Backend:
        assert spec is not None, "a role without a spec has a given backend"
        if identity not in self._opened:
            self._opened[identity] = await open_backend(
                spec.backend,
                spec.model,
                url=spec.url,
                key=spec.key(),
                context=spec.context,
                timeout=spec.timeout,
                estimate=spec.estimate,
                slots=spec.concurrency,
                options=spec.options,
            )
            if self._on_open is not None:
                await self._on_open(self._opened[identity])
        return self._opened[identity]

    def _limiter(self, spec: ModelSpec, identity: str) -> asyncio.Semaphore | None:
        if identity not in self._limiters:
            most = spec.concurrency or AT_ONCE.get(spec.backend)
            self._limiters[identity] = asyncio.Semaphore(most) if most and identity else None
        return self._limiters[identity]

    def _charged(self, call: Call) -> None:
        if self.on_event is not None:
            self.on_event(CallCharged(call))
