"""`TransformersBackend`: a model run by transformers in this process, whose calls share its passes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import Any

from ...errors import (
    BackendError,
    BackendTimeout,
    BadRequest,
    ContextTooLong,
    FlowError,
    TokenizerUnavailable,
    UnknownModel,
)
from ..backend import Count, Counters, ServerFacts
from ..request import Completion, Delta, OnDelta, Request
from .answering import Answering
from .caches import Readings, new_reading
from .passes import Answer
from .weights import Settings, Weights, first_line, load

READINGS = 32
"""How many prompts stay read, so that calls which go on with one of them read only what is new. Where more answers than
these are written in turn, each call reads its whole prompt again."""
FIELDS = frozenset({"until", "logit_bias", "features"})
"""What `Request.extra` may hold."""
MOST_LOGPROBS = 100


class TransformersBackend:
    """Runs a model in this process. Calls at one time share its passes; what is read stays read, as in a prefix cache.

    `Request.extra` may hold `until`, before which token the call is to end (`laconic.backends.doubt`): the token that
    ends it is counted, as it was generated, and is not in the answer, whose `finish_reason` is `cut`. With `features`
    (`features.py`) it only reads its prompt, and leaves what it thinks of that in a file.
    """

    name = "transformers"

    def __init__(
        self,
        folder: str | Path,
        *,
        name: str | None = None,
        context: int | None = None,
        device: str | None = None,
        dtype: str | None = None,
        skip: Sequence[int] = (),
        readings: int = READINGS,
        timeout: float = 600.0,
    ) -> None:
        """Nothing is imported or loaded yet.

        `folder`: a model in safetensors with its `tokenizer.json`. `name`: what requests call it; None takes the
        folder's name. `context`: tokens of prompt and answer together; None takes the model's own. `device`, `dtype`:
        PyTorch's names; None takes what suits the machine. `skip`: layers that are left out, which makes a smaller
        model of the same weights, see `load`. `readings`: as `READINGS` says. `timeout`: seconds that a call may take
        once the model is loaded.
        """
        if context is not None and context < 1:
            raise FlowError(f"The `context` of a model is at least 1 token, not {context}.")
        if readings < 1:
            raise FlowError(f"The `readings` that a model keeps are at least 1, not {readings}.")
        self.settings = Settings(str(Path(folder).expanduser()), device, dtype, tuple(skip))
        self.model = name or without_layers(Path(folder).expanduser().resolve().name, skip)
        self.timeout = timeout
        self._context = context
        self._weights: Weights | None = None
        self._readings = Readings(readings)
        self._counters = Counters(0, 0, 0, 0)
        self._closed = False

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.model!r})"

    async def start(self) -> None:
        """Load the model, unless it is. Raises as `laconic.backends.transformers.weights.load` does."""
        await self._ready()

    async def complete(self, request: Request, on_delta: OnDelta | None = None) -> Completion:
        """Answer one request; streams if `on_delta` is given.

        Raises `UnknownModel`, `ContextTooLong` and `BadRequest` before anything is computed, `BackendTimeout`, and
        `BackendError` if a pass fails, as for want of memory.
        """
        weights = await self._ready()
        ids = self._ids(weights, request)
        most = self._room(weights, request, ids)
        loop = asyncio.get_running_loop()

        def tell(piece: str) -> None:
            assert on_delta is not None
            loop.call_soon_threadsafe(on_delta, Delta(piece))

        answering = Answering(weights, request, ids, most, None if on_delta is None else tell)
        await self._answered(answering)
        return answering.completion(self.model)

    async def count(self, request: Request) -> Count:
        """Prompt tokens of `request`, exactly. Raises `TokenizerUnavailable` for a chat without a chat template."""
        ids = (await self._ready()).tokenizer.prompt_ids(request)
        return Count(len(ids), ids=tuple(ids))

    async def facts(self) -> ServerFacts:
        """What the model is, and what can be asked of it."""
        weights = await self._ready()
        return ServerFacts(
            server="transformers",
            version=_version(),
            models=(self.model,),
            context=self._context or weights.context,
            tokenizes=True,
            metrics=True,
            reports_cached=True,
            caches_prefixes=True,
            block=1,
            chat_fields=FIELDS,
            completion_fields=FIELDS,
            most_logprobs=MOST_LOGPROBS,
            limits_thinking=False,
            schedules_priorities=False,
            root=self.settings.folder,
            parameters=weights.parameters,
            vocabulary=weights.vocabulary_digest,
            vocabulary_size=weights.vocabulary,
            weights=weights.digest,
            computes=weights.computes,
        )

    async def counters(self) -> Counters | None:
        """What this backend's calls have computed so far."""
        return self._counters

    async def aclose(self) -> None:
        """Let go of the model, whose memory is free once nobody else holds it. A later call is refused."""
        self._closed = True
        self._weights = None
        self._readings.clear()

    async def _answered(self, answering: Answering) -> None:
        """Have the model's thread answer; to wait for the first pass takes up no time of its own.

        Raises `BackendTimeout` and `BackendError`. A timeout and a cancellation carry what was said until then.
        """
        loop = asyncio.get_running_loop()
        begun = asyncio.Event()

        def passes() -> Answer:
            with suppress(RuntimeError):  # nobody waits any longer, the loop is closed
                loop.call_soon_threadsafe(begun.set)
            yield from self._passes(answering)

        asked = answering.weights.passes.submit(answering.weights, passes())
        working = asyncio.wrap_future(asked)
        beginning = asyncio.ensure_future(begun.wait())
        either: list[asyncio.Future[Any]] = [beginning, working]
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            done, _ = await asyncio.wait({working}, timeout=self.timeout)
        except asyncio.CancelledError as cancelled:
            cancelled.partial = await self._broken_off(answering, asked)  # type: ignore[attr-defined]  # see Backend
            raise
        finally:
            beginning.cancel()
        if not done:
            message = f"The model {self.model!r} gave no complete answer within the {self.timeout:g} s allowed."
            raise BackendTimeout(message, partial=await self._broken_off(answering, asked))
        try:
            working.result()
        except (RuntimeError, IndexError) as error:  # what PyTorch raises, for want of memory too
            raise BackendError(f"The model {self.model!r} failed: {first_line(error)}") from error

    async def _ready(self) -> Weights:
        if self._closed:
            raise BackendError(f"The model {self.model!r} was closed; make another backend to go on.")
        if self._weights is None:
            self._weights = await asyncio.to_thread(load, self.settings)
        return self._weights

    def _ids(self, weights: Weights, request: Request) -> list[int]:
        if request.model not in (self.model, self.settings.folder):
            raise UnknownModel(f"There is no model {request.model!r} here. There is: {self.model}")
        unknown = next((field for field in request.extra if field not in FIELDS), None)
        if unknown is not None or request.schema is not None:
            what = f"the field {unknown!r}" if unknown is not None else "a `schema`"
            raise BadRequest(f"A model run by transformers knows no way to honour {what}; use a server that does.")
        try:
            ids = weights.tokenizer.prompt_ids(request)
        except TokenizerUnavailable as error:
            raise BadRequest(f"The model {self.model!r} cannot be sent this chat: {error}") from error
        if not ids or not all(0 <= token < weights.vocabulary for token in ids):
            raise BadRequest(f"A prompt has at least one token, and only tokens from 0 to {weights.vocabulary - 1}.")
        if not 0 < (1 if request.top_p is None else request.top_p) <= 1:
            raise BadRequest(f"`top_p` is more than 0 and at most 1, not {request.top_p}.")
        if not 0 <= (request.logprobs or 0) <= min(MOST_LOGPROBS, weights.vocabulary):
            raise BadRequest(f"At most {MOST_LOGPROBS} logprobs are told of a token, not {request.logprobs}.")
        return ids

    def _room(self, weights: Weights, request: Request, ids: Sequence[int]) -> int:
        context = min(self._context or weights.context, weights.context)
        room = context - len(ids)
        wanted = request.max_tokens if request.max_tokens is not None else max(room, 1)
        if wanted < 1:
            raise BadRequest(f"`max_tokens` is at least 1, not {wanted}.")
        if wanted > room:
            raise ContextTooLong(
                f"The prompt has {len(ids)} tokens and the answer up to {wanted}, more than the {context} that the "
                f"model {self.model!r} takes together. Shorten the prompt or lower `max_tokens`."
            )
        return wanted

    def _passes(self, answering: Answering) -> Answer:
        ids = answering.ids
        best = None if answering.reads_anew else self._readings.best(ids)
        reading = best or new_reading(shares=answering.weights.packs)
        known = len(reading.ids)
        try:
            yield from answering.passes(reading)
        finally:
            self._counters += Counters(len(ids) - known, known, answering.generated, 1)
        if reading.ids:
            self._readings.keep(reading)  # not one that failed: it may be half written

    async def _broken_off(self, answering: Answering, asked: Future[None]) -> Completion | None:
        """Have the thread end; what it had chosen until then is the answer so far, None if it failed."""
        answering.stopped.set()
        if not asked.cancel():
            await asyncio.wait({asyncio.wrap_future(asked)})
            if asked.exception() is not None:
                return None
        return answering.completion(self.model)


def without_layers(model: str, skip: Sequence[int]) -> str:
    """What a model is called that leaves out layers: nobody may take its answers for those of the whole one."""
    return "-".join([model, "without", *map(str, sorted(skip))]) if skip else model


def _version() -> str:
    import transformers

    return str(transformers.__version__)
