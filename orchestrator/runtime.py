"""Runtime: what runs share. Open models, the ledger, the store, the meter."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Self
from weakref import WeakKeyDictionary

from ..accounting.call import Call
from ..accounting.ledger import Ledger
from ..accounting.meter import Meter, MeteredModel
from ..accounting.slots import Slots
from ..accounting.steering import Steering
from ..accounting.store import Store
from ..backends.backend import Backend
from ..backends.memory_shares import share
from ..backends.opening import open_backend
from .events import CallCharged, OnEvent
from .models import ModelSpec
from .queueing import Order, queue

if TYPE_CHECKING:
    from .flow import Flow

OnOpen = Callable[[Backend], Awaitable[None]]
"""Told of every backend that a runtime opens."""

SAID_IN_A_CALL = {"temperature", "top_p", "seed", "max_tokens", "stream", "extra"}
"""What of a model's spec each call says, so that a model need not be opened twice for it."""


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
        order: Order = "prefix",
        on_open: OnOpen | None = None,
        findings: bool = True,
    ) -> None:
        """`reuse`: answers in `store` may be used again. `backends`: these play their roles, whatever a flow says.

        `order`: in which order calls that wait go to a server that caches prefixes, see `queueing`. `on_open` is
        awaited for every backend that is opened, before its first call. `findings`: what earlier runs found out and
        left in `store` is used, and added to; False where what a flow costs must not depend on what ran before: then
        each run remembers only what it found out itself.
        """
        self.ledger = ledger if ledger is not None else Ledger()
        self.store = store
        self._findings = findings
        self._own: dict[str, Store] = {}
        """What each run found out, where nothing is shared."""
        self.on_event = on_event
        self._on_open = on_open
        self.meter = Meter(self.ledger, store=store, reuse=reuse, on_call=self._charged if on_event else None)
        self._given = dict(backends or {})
        self._opened: dict[str, Backend] = {}
        self._flows: WeakKeyDictionary[Flow, dict[str, MeteredModel]] = WeakKeyDictionary()
        self._roles: dict[tuple[str, str], MeteredModel] = {}
        self._order: Order = order
        self._slots: dict[str, Slots | None] = {}
        self._steerings: list[Steering] = []
        self._opening = asyncio.Lock()

    def findings(self, run: str) -> Store | None:
        """Where the nodes of a run remember what they found out, if anywhere."""
        if self._findings:
            return self.store
        return self._own.setdefault(run, Store())

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
        self._slots.clear()
        while self._steerings:
            await self._steerings.pop().aclose()
        for backend in opened.values():
            await backend.aclose()

    async def models(self, flow: Flow) -> dict[str, MeteredModel]:
        """The flow's models by role, opened. Raises what opening raises: no such file, server or model."""
        known = self._flows.get(flow)
        if known is None:
            beside = [spec for role, spec in flow.models.items() if role not in self._given]
            known = {
                role: await self.model(role, flow.models.get(role), beside=beside)
                for role in {**flow.models, **self._given}
            }
            self._flows[flow] = known
        return known

    async def model(self, role: str, spec: ModelSpec | None, *, beside: Iterable[ModelSpec] = ()) -> MeteredModel:
        """One model, opened at its first use; roles with equal specs share a backend and its slots, however they ask.

        `beside`: the models that are open at the same time, between which memory is shared out. They are opened one
        after the other, since vLLM measures the free memory while it starts.
        """
        identity = spec.model_dump_json(exclude=SAID_IN_A_CALL) if spec is not None and role not in self._given else ""
        known = self._roles.get((role, identity))
        if known is None:
            async with self._opening:
                backend = self._given.get(role) or await self._open(spec, identity, beside)
                slots = None if spec is None else await self._queue(spec, identity, backend)
            known = MeteredModel(role, backend)
            known.slots = slots
            if spec is not None:
                known.price, known.retries = spec.price, spec.retries
            self._roles[role, identity] = known
        return known

    async def _open(self, spec: ModelSpec | None, identity: str, beside: Iterable[ModelSpec]) -> Backend:
        assert spec is not None, "a role without a spec has a given backend"
        if identity not in self._opened:
            others = [other.server for other in beside if other.server is not None]
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
                memory=share(spec.server, others) if spec.server is not None else None,
            )
            if self._on_open is not None:
                await self._on_open(self._opened[identity])
        return self._opened[identity]

    async def _queue(self, spec: ModelSpec, identity: str, backend: Backend) -> Slots | None:
        if identity and identity not in self._slots:
            slots, steering = await queue(spec, backend, self._order, self.on_event)
            self._slots[identity] = slots
            if steering is not None:
                self._steerings.append(steering)
        return self._slots.get(identity)

    def _charged(self, call: Call) -> None:
        if self.on_event is not None:
            self.on_event(CallCharged(call))
