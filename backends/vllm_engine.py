"""`VLLMEngineBackend`: a model run by vLLM's engine inside this process, without a server."""

from __future__ import annotations

import asyncio
import itertools
import time
import weakref
from collections.abc import Callable, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from ..errors import BackendError, BackendTimeout, FlowError, ServerFailure, UnknownModel
from .backend import Count, Counters, ServerFacts
from .request import Completion, Delta, OnDelta, Request
from .streaming import Arrived
from .usage import Source
from .vllm_loading import Engine, Settings, load
from .vllm_outputs import Totals, chunk_of
from .vllm_requests import Call, Reader


class _Loaded(NamedTuple):
    """An engine that runs, who reads requests for it, and how it is ended."""

    engine: Engine
    reader: Reader
    release: Callable[[], object]


class VLLMEngineBackend:
    """Runs a model with vLLM's own async engine, for many requests at once; within one event loop.

    The engine computes in a process of its own, which vLLM starts and this object ends. Requests are read by the code
    of vLLM's server, so that prompts, defaults and refusals are those of a server of the same version. The text is all
    that was generated: reasoning is not told apart.

    Usage is what the engine reports. A request that is cancelled, or takes longer than `timeout`, is broken off in the
    engine; `partial` then holds everything that the engine's own counters count for it (source `counted`).

    vLLM starts its process anew from the program that is running, so that a script which uses this class does so under
    `if __name__ == "__main__":`.
    """

    name = "vllm-engine"

    def __init__(
        self,
        model: str | Path,
        *,
        name: str | None = None,
        context: int | None = None,
        memory: float | None = None,
        options: Mapping[str, Any] | None = None,
        timeout: float = 600.0,
    ) -> None:
        """Nothing is imported or loaded yet.

        `model`: a folder with a model in safetensors, or its name on the hub. `name`: what requests call it; None takes
        `model`. `context`: tokens of prompt and answer together; None takes the model's own. `memory`: share of the
        device's memory, above 0 and at most 1; None leaves it to vLLM. `options`: fields of vLLM's `AsyncEngineArgs`.
        `timeout`: seconds that a call may take once the model is loaded.

        Raises `FlowError` for a `context` or `memory` that makes no sense.
        """
        if context is not None and context < 1:
            raise FlowError(f"The `context` of a model is at least 1 token, not {context}.")
        if memory is not None and not 0 < memory <= 1:
            raise FlowError(f"The `memory` of a vLLM engine is a share, above 0 and at most 1, not {memory:g}.")
        self.model = name or str(model)
        self.timeout = timeout
        self.settings = Settings(str(model), self.model, context, memory, dict(options or {}))
        self._totals = Totals()
        self._loading: asyncio.Task[_Loaded] | None = None
        self._closed = False
        self._numbers = itertools.count()
        self._underway: dict[str, asyncio.Task[None]] = {}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.model!r})"

    async def start(self) -> None:
        """Load the model, unless it is; takes up to minutes, in which other tasks go on.

        Raises `BackendError` if vLLM is not installed, finds no device or cannot load the model, and `FlowError` for an
        option that vLLM does not have.
        """
        await self._ready()

    async def complete(self, request: Request, on_delta: OnDelta | None = None) -> Completion:
        """Answer one request; streams if `on_delta` is given.

        Raises `UnknownModel`, `ContextTooLong` and `BadRequest` before anything is computed, `BackendTimeout`, and
        `ServerFailure` if the engine ends meanwhile; the next call then starts it again.
        """
        loaded = await self._ready()
        self._check_model(request)
        arrived = Arrived(started=time.monotonic(), alternatives=request.logprobs or 0)
        number = str(next(self._numbers))
        try:
            async with asyncio.timeout(self.timeout):
                if request.prompt_logprobs:
                    on_delta = None  # vLLM gives no logprobs of a prompt in a stream
                call = await loaded.reader.call(request, stream=on_delta is not None)
                answering = asyncio.create_task(self._answer(loaded, call, number, arrived, on_delta))
                self._underway[number] = answering
                answering.add_done_callback(lambda _: self._underway.pop(number))
                await asyncio.wait({answering})
                answering.result()
        except BackendError as error:
            error.partial = _partial(arrived)
            raise
        except TimeoutError as error:
            message = f"The engine of {self.model!r} gave no complete answer within the {self.timeout:g} s allowed."
            raise BackendTimeout(message, partial=await self._broken_off(loaded, number, arrived)) from error
        except asyncio.CancelledError as cancelled:
            cancelled.partial = await self._broken_off(loaded, number, arrived)  # type: ignore[attr-defined]  # see Backend
            raise
        if on_delta is None:
            arrived.first = None  # the whole answer came at once
        return _completion(arrived, "server")

    async def count(self, request: Request) -> Count:
        """Prompt tokens of `request`, exactly. Raises as `complete` does for a request that cannot be sent."""
        if request.prompt_token_ids is not None:
            return Count(len(request.prompt_token_ids), ids=request.prompt_token_ids)
        loaded = await self._ready()
        self._check_model(request)
        ids = await loaded.reader.ids(request)
        return Count(len(ids), ids=ids)

    async def facts(self) -> ServerFacts:
        """What the engine is and can."""
        return (await self._ready()).reader.facts

    async def counters(self) -> Counters | None:
        """The engine's own totals since it was first started."""
        await self._ready()
        return self._totals.counters()

    async def aclose(self) -> None:
        """Break off what is being answered, end the engine and release its memory. A later call is refused."""
        self._closed = True
        loading, self._loading = self._loading, None
        if loading is None:
            return
        await asyncio.wait({loading})
        if not loading.cancelled() and loading.exception() is None:
            loaded = loading.result()
            if self._underway:
                await loaded.engine.llm.abort(list(self._underway))
                await asyncio.wait(set(self._underway.values()))
            await asyncio.to_thread(loaded.release)

    async def _ready(self) -> _Loaded:
        if self._closed:
            raise BackendError(f"The engine of {self.model!r} was closed; make another to go on.")
        known = self._loading
        if known is not None and known.get_loop() is not asyncio.get_running_loop():
            raise BackendError(
                f"The engine of {self.model!r} was started in another event loop; use one loop, or an engine for each."
            )
        if known is None or (known.done() and _useless(known)):
            known = self._loading = asyncio.create_task(self._load(known))
        return await asyncio.shield(known)  # who waits may be cancelled; the model is loaded for all

    async def _load(self, before: asyncio.Task[_Loaded] | None) -> _Loaded:
        if before is not None and not before.cancelled() and before.exception() is None:
            await asyncio.to_thread(before.result().release)
        engine = await asyncio.to_thread(load, self.settings, self._totals)
        release = weakref.finalize(self, engine.end)  # if nobody closes us
        try:
            return _Loaded(engine, Reader(engine.llm, self.settings), release)
        except BaseException:
            release()
            raise

    def _check_model(self, request: Request) -> None:
        if request.model not in (self.model, self.settings.model):
            raise UnknownModel(f"This engine has no model {request.model!r}. It has: {self.model}")

    async def _answer(
        self, loaded: _Loaded, call: Call, number: str, arrived: Arrived, on_delta: OnDelta | None
    ) -> None:
        """Let the engine answer into `arrived`. Never cancelled: who gives up aborts the request in the engine."""
        generated = 0
        outputs = loaded.engine.llm.generate(call.prompt, call.sampling, number, priority=call.priority)
        try:
            async with aclosing(outputs):
                async for output in outputs:
                    generated += len(output.outputs[0].token_ids)
                    text = arrived.add(chunk_of(output, self.model, generated))
                    if text and on_delta is not None:
                        on_delta(Delta(text))
        except Exception as error:
            problem = loaded.reader.failure(error)
            if problem is None:
                raise
            raise problem from error
        if self._closed and arrived.finish == "cut":
            raise ServerFailure(f"The engine of {self.model!r} was closed while it was answering.")

    async def _broken_off(self, loaded: _Loaded, number: str, arrived: Arrived) -> Completion | None:
        """End a request in the engine; what it had generated until then still arrives, as the last of the answer."""
        answering = self._underway.get(number)
        if answering is not None:
            await loaded.engine.llm.abort(number)
            await asyncio.wait({answering})
            answering.exception()  # a failure that nobody waits for any more
        return _partial(arrived)


def _completion(arrived: Arrived, source: Source) -> Completion:
    assert arrived.usage is not None, "every output of the engine says what was used"
    usage = msgspec.structs.replace(arrived.usage, source=source)
    return arrived.completion(usage, finish="cut" if source == "counted" else None)


def _partial(arrived: Arrived) -> Completion | None:
    """What had arrived; None before the first token, since until then the engine does not say what it computed."""
    if arrived.usage is None or not arrived.usage.completion:
        return None
    return _completion(arrived, "counted")


def _useless(loading: asyncio.Task[_Loaded]) -> bool:
    """Whether an engine did not start, or has ended by itself."""
    return loading.cancelled() or loading.exception() is not None or bool(loading.result().engine.llm.errored)
