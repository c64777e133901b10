"""`OwnServerBackend`: a backend that lives on a server which this process starts, for as long as it is used."""

from __future__ import annotations

import asyncio
import weakref
from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ..errors import BackendUnreachable, ServerFailure, StreamCut
from .backend import Count, Counters, ServerFacts
from .own_server import OwnServer, SharedServers
from .request import Completion, OnDelta, Request

if TYPE_CHECKING:
    from .openai import OpenAIBackend

LAST_BREATH = 0.5
"""Seconds between a dying server's connections and its process, so as to know a death from another failure."""

Settings = TypeVar("Settings", bound=Hashable)
Server = TypeVar("Server", bound=OwnServer)


class OwnServerBackend(ABC, Generic[Settings, Server]):
    """Speaks to its server as to any. The server is started at the first use, or by `start`.

    All backends of this process with equal settings share one server, which ends with the last of them.
    """

    name: str

    def __init__(
        self, model: str, servers: SharedServers[Settings, Server], settings: Settings, timeout: float
    ) -> None:
        """`model`: the name that requests carry. `timeout`: seconds that a call may take."""
        self.model = model
        self.settings = settings
        self.timeout = timeout
        self._servers = servers
        self._running: tuple[OpenAIBackend, Server, weakref.finalize[..., OwnServerBackend[Settings, Server]]] | None
        self._running = None
        self._starting = asyncio.Lock()
        self._answering = 0
        self._idle = asyncio.Event()
        self._idle.set()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.model!r})"

    @property
    def url(self) -> str:
        """The loopback address of the server; empty while it is not running."""
        return "" if self._running is None else self._running[0].url

    async def start(self) -> None:
        """Start the server, unless it runs; other tasks go on meanwhile. Raises what stands in its way."""
        await self._ready()

    async def complete(self, request: Request, on_delta: OnDelta | None = None) -> Completion:
        """Answer one request. Raises as `OpenAIBackend` does, and `ServerFailure` if the server ended meanwhile."""
        backend, server = await self._ready()
        self._answering += 1
        self._idle.clear()
        try:
            return await backend.complete(request, on_delta)
        except (BackendUnreachable, ServerFailure, StreamCut) as error:
            if not await asyncio.to_thread(server.ends_within, LAST_BREATH):
                raise
            kind = BackendUnreachable if isinstance(error, BackendUnreachable) else ServerFailure
            raise kind(self._ended(server), partial=error.partial) from error
        finally:
            self._answering -= 1
            if not self._answering:
                self._idle.set()

    async def count(self, request: Request) -> Count:
        """Prompt tokens of `request`, exactly."""
        backend, _ = await self._ready()
        return await backend.count(request)

    async def facts(self) -> ServerFacts:
        """What the server says of itself."""
        backend, _ = await self._ready()
        return await backend.facts()

    async def counters(self) -> Counters | None:
        """The server's own totals since it was started, over all backends of this process that share it."""
        backend, _ = await self._ready()
        return await backend.counters()

    async def aclose(self) -> None:
        """Give the server back; it ends if nobody else uses it, which breaks off what it was answering.

        A later call would start it again.
        """
        running, self._running = self._running, None
        if running is None:
            return
        backend, _, release = running
        await asyncio.to_thread(release)
        try:
            await self._idle.wait()  # a client that is closed under a stream would never end it
        finally:
            await backend.aclose()

    @abstractmethod
    def _ended(self, server: Server) -> str:
        """The message for whoever asked a server that is gone."""

    def _known(self) -> Mapping[str, Any]:
        """Fields of `ServerFacts` that follow from how the server was started."""
        return {}

    async def _after_death(self, server: Server) -> None:
        """What to do when a server that had been started is found dead, before another call: here, forget it."""
        await self.aclose()

    async def _ready(self) -> tuple[OpenAIBackend, Server]:
        async with self._starting:
            if self._running is not None and not self._running[1].alive:
                await self._after_death(self._running[1])
            if self._running is None:
                self._running = await self._start()
            return self._running[:2]

    async def _start(self) -> tuple[OpenAIBackend, Server, weakref.finalize[..., OwnServerBackend[Settings, Server]]]:
        from .openai import OpenAIBackend

        server = self._servers.borrow(self.settings)
        release = weakref.finalize(self, self._servers.give_back, server)  # also at exit, and if nobody closes us
        try:
            await asyncio.to_thread(server.start)
        except BaseException:
            release()
            raise
        backend = OpenAIBackend(
            self.model, server.url, key=server.key, timeout=self.timeout, name=self.name, known=self._known()
        )
        return backend, server, release
