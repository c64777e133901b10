"""`LocalBackend`: a model file run by llama.cpp on this machine, for as long as it is used."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import sys
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import BackendError, BackendUnreachable, FlowError, ModelFileError, ServerFailure, StreamCut
from . import catalogue
from .backend import Count, Counters, ServerFacts
from .llama_server import LlamaServer, Settings, borrow, give_back
from .nearest import did_you_mean
from .request import Completion, Delta, OnDelta, Request

if TYPE_CHECKING:
    from .openai import OpenAIBackend

PROMPT_CACHE = 2048
"""Mebibytes that llama.cpp may use to keep the prompts of slots that are given away, so that they can come back."""
LAST_BREATH = 0.5
"""Seconds between a dying server's connections and its process, so as to know a death from another failure."""


class LocalBackend:
    """Runs a GGUF file with llama.cpp and speaks to it as to any server.

    The model is loaded at the first use, or by `start`; all backends of this process with the same file and options
    share one server, which ends with the last of them. A request goes to the slot whose last prompt begins most like
    its own; prompts that lose their slot are kept in memory (`cache_ram_mib` of the options, 2,048 MiB if not given)
    and come back, so that prompts with a few common beginnings are cached in whatever order they come.

    llama.cpp computes a cached prompt in other batches than a new one, so that with `temperature: 0` the answers are
    nearly always, but not provably, the same.
    """

    name = "local"

    def __init__(
        self,
        model_or_path: str | Path,
        *,
        context: int = 4096,
        slots: int = 4,
        threads: int | None = None,
        options: Mapping[str, Any] | None = None,
        timeout: float = 600.0,
    ) -> None:
        """Find the model's file; nothing is loaded yet.

        `model_or_path`: a name of the catalogue or the path of a GGUF file. `context`: tokens of prompt and answer
        together, for each request. `slots`: requests answered at once; each takes memory for a whole context.
        `threads`: threads that compute; None takes the physical cores this process may use. `options`: fields of
        llama.cpp's `CommonParams`, such as `n_gpu_layers`. `timeout`: seconds that a call may take.

        Raises `ModelFileError` if the file is not there, `FlowError` for an option that llama.cpp does not have, and
        `BackendError` if xllamacpp is not installed.
        """
        if importlib.util.find_spec("xllamacpp") is None:
            raise BackendError(
                'Local models need xllamacpp, which is not installed. Install it with: pip install "laconic[local]"'
            )
        self.path = catalogue.path(model_or_path)
        known = catalogue.CATALOGUE.get(str(model_or_path).lower())
        self.model = known.name if known is not None and not Path(model_or_path).is_file() else self.path.stem
        self.context = context
        self.timeout = timeout
        with self.path.open("rb") as file:
            if file.read(4) != b"GGUF":
                raise ModelFileError(f"{self.path} is not a GGUF file, the kind that llama.cpp reads.")
        names = {self.model, self.path.stem} | {
            entry.name for entry in catalogue.CATALOGUE.values() if entry.file == self.path.name
        }
        self.settings = Settings(
            str(self.path.resolve()),
            tuple(sorted(names)),
            threads if threads is not None else _physical_cores(),
            tuple(sorted(_parameters(context, slots, options or {}).items())),
        )
        self._running: tuple[OpenAIBackend, LlamaServer, weakref.finalize[..., LocalBackend]] | None = None
        self._starting = asyncio.Lock()
        self._answering = 0
        self._idle = asyncio.Event()
        self._idle.set()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.model!r})"

    async def start(self) -> None:
        """Load the model, unless it is; other tasks go on meanwhile. Raises `ModelFileError` if llama.cpp cannot."""
        await self._ready()

    async def complete(self, request: Request, on_delta: OnDelta | None = None) -> Completion:
        """Answer one request. Raises as `OpenAIBackend` does, and `ServerFailure` if llama.cpp ended meanwhile.

        The answer always comes as a stream, whether `on_delta` wants it or not: only then does the server stop at once
        when the call is cancelled, and only then is it known how much it had generated.
        """
        backend, server = await self._ready()
        self._answering += 1
        self._idle.clear()
        try:
            return await backend.complete(request, on_delta or _ignore)
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
        """What llama.cpp says of itself."""
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
        release()
        try:
            await self._idle.wait()  # a client that is closed under a stream would never end it
        finally:
            await backend.aclose()

    async def _ready(self) -> tuple[OpenAIBackend, LlamaServer]:
        async with self._starting:
            if self._running is not None and not self._running[1].alive:
                await self.aclose()
            if self._running is None:
                self._running = await self._start()
            return self._running[:2]

    async def _start(self) -> tuple[OpenAIBackend, LlamaServer, weakref.finalize[..., LocalBackend]]:
        from .openai import OpenAIBackend

        server = borrow(self.settings)
        release = weakref.finalize(self, give_back, server)  # also at exit, and if nobody closes us
        try:
            await asyncio.to_thread(server.start)
        except BaseException:
            release()
            raise
        url = f"{server.address}/v1"
        return OpenAIBackend(self.model, url, key=server.key, timeout=self.timeout, name=self.name), server, release

    def _ended(self, server: LlamaServer) -> str:
        if server.stopped:
            return f"The local model {self.model!r} was closed while it was answering."
        return (
            f"The llama.cpp process of {self.model!r} has ended, perhaps for want of memory. The next call starts it "
            "again; a smaller `context` or fewer `slots` need less memory."
        )


def _ignore(delta: Delta) -> None:
    """A piece of an answer that nobody asked to see."""


def _parameters(context: int, slots: int, options: Mapping[str, Any]) -> dict[str, Any]:
    """llama.cpp's parameters: ours, and over them the user's."""
    if context < 1 or slots < 1:
        raise FlowError(f"A local model needs a context and slots of at least 1, not {context} and {slots}.")
    if options:
        _check(options)
    ours = {
        "n_ctx": context * slots,
        "n_parallel": slots,
        "cache_ram_mib": PROMPT_CACHE,
        "endpoint_metrics": True,
        "endpoint_slots": False,
        "ui": False,
        "cors_origins": "http://127.0.0.1",
        "verbosity": 1,
    }
    return ours | dict(options)


def _check(options: Mapping[str, Any]) -> None:
    """Whether llama.cpp has these parameters; raises `FlowError` naming the first that it does not have."""
    import xllamacpp

    known = [name for name in dir(xllamacpp.CommonParams) if not name.startswith("_")]
    for name, value in options.items():
        if name not in known or not isinstance(value, (bool, int, float, str)):
            hint = did_you_mean(name, known) if name not in known else ""
            raise FlowError(f"llama.cpp has no option {name!r} that can be set to {value!r}.{hint}")


def _physical_cores() -> int | None:
    """The physical cores this process may run on, where that can be told; None leaves it to llama.cpp."""
    if sys.platform != "linux":
        return None
    try:
        allowed = os.sched_getaffinity(0)
        cores = {
            Path(f"/sys/devices/system/cpu/cpu{number}/topology/core_cpus_list").read_text(encoding="ascii")
            for number in allowed
        }
    except OSError:
        return None
    return max(1, len(cores))
