"""`VLLMBackend`: a model that vLLM serves on this machine, from a server that this process starts."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from ..errors import BackendUnreachable
from .load import Load
from .own_backend import OwnServerBackend
from .own_server import SharedServers
from .vllm_model import served_name
from .vllm_server import VLLMServer


class Settings(msgspec.Struct, frozen=True):
    """What a server is started with; equal settings are one server."""

    model: str
    context: int | None
    memory: float | None
    options: str
    """JSON."""


def _make(settings: Settings) -> VLLMServer:
    return VLLMServer(
        settings.model,
        context=settings.context,
        memory=settings.memory,
        options=json.loads(settings.options),
        key=secrets.token_urlsafe(24),
    )


servers = SharedServers(_make)
"""The vLLM servers of this process."""


class VLLMBackend(OwnServerBackend[Settings, VLLMServer]):
    """Starts a vLLM server behind a random key, and speaks to it as to any.

    A server that has died is not started again: it would take minutes, and would most likely die of the same.
    """

    name = "vllm"

    def __init__(
        self,
        model: str | Path,
        *,
        context: int | None = None,
        memory: float | None = None,
        options: Mapping[str, Any] | None = None,
        timeout: float = 600.0,
    ) -> None:
        """Nothing is started yet. `timeout`: seconds that a call may take; the others are those of `VLLMServer`."""
        settings = Settings(str(model), context, memory, json.dumps(options or {}, sort_keys=True))
        super().__init__(served_name(model), servers, settings, timeout)

    async def load(self) -> Load | None:
        """How busy the server is."""
        backend, _ = await self._ready()
        return await backend.load()

    def _known(self) -> Mapping[str, Any]:
        options = json.loads(self.settings.options)
        return {"schedules_priorities": options.get("scheduling_policy") == "priority", "reports_cached": True}

    def _ended(self, server: VLLMServer) -> str:
        if server.stopped:
            return f"The vLLM server of {self.model!r} was closed while it was answering."
        return f"The vLLM server of {self.model!r} has ended: {server.why_ended()}"

    async def _after_death(self, server: VLLMServer) -> NoReturn:
        error = BackendUnreachable(self._ended(server))
        error.retryable = False
        raise error
