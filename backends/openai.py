"""`OpenAIBackend`: one model of any OpenAI-compatible server: llama.cpp, vLLM, or a service behind a key."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec

from ..errors import (
    BackendError,
    BackendTimeout,
    BadRequest,
    LaconicError,
    MalformedAnswer,
    StreamCut,
    TokenizerUnavailable,
)
from . import counting, failures, wire
from .backend import Count, Counters, ServerFacts
from .connection import Connection
from .facts import ask, serves
from .load import Load, read_load
from .metrics import counters
from .request import Completion, Delta, OnDelta, Request
from .sse import DONE, EventReader
from .streaming import Arrived, whole
from .transport import connection_errors
from .usage import UNKNOWN, Usage

if TYPE_CHECKING:
    import httpx

    from .tokenizers import Tokenizer

AFTERMATH = 1.0
"""Seconds that counting a broken-off stream may take, so that a cancelled run ends soon."""
DRAINING = 0.5
"""Seconds that a server may take to end a stream after its end mark, before its connection is given up."""


class OpenAIBackend:
    """Speaks the chat and completions protocols over HTTP, within one event loop.

    `url` is that of the API and usually ends in `/v1`. `timeout` is the most seconds a call may take, first to last.
    `estimate` allows `count` to answer with an upper bound where no exact count can be had; `tokenizer` counts where
    the server does not. The key is sent to this server and shown nowhere.

    Usage is the server's own. Where it gives none, and for a stream that broke off, what had arrived is counted: from
    the running totals that vLLM and llama.cpp send with a stream, else from token ids, else from logprobs, else by
    tokenizing the text, which can differ by a token or so from what was generated (an end token has no text). Such a
    usage has the source `counted`. It leaves out what a server generated and did not get to send.
    """

    def __init__(
        self,
        model: str,
        url: str,
        *,
        key: str | None = None,
        timeout: float = 600.0,
        transport: httpx.AsyncBaseTransport | None = None,
        estimate: bool = False,
        tokenizer: Tokenizer | None = None,
        name: str = "openai",
        known: Mapping[str, Any] | None = None,
    ) -> None:
        """Connects to nothing yet; raises `BadRequest` if `url` is none. `name` is the kind that flow files give.

        `known`: fields of `ServerFacts` that need not be found out, because whoever started the server knows them.
        """
        self.name = name
        self.model = model
        self.timeout = timeout
        self.estimate = estimate
        self.tokenizer = tokenizer
        self._connection = Connection(url, key, transport)
        self.url = self._connection.url
        self._known = dict(known or {})
        self._facts: ServerFacts | None = None
        self._asking = asyncio.Lock()
        self._reports_cached = False

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.model!r}, {self.url!r})"

    async def complete(self, request: Request, on_delta: OnDelta | None = None) -> Completion:
        """Answer one request; streams if `on_delta` is given."""
        started = time.monotonic()
        arrived = Arrived(started=started, alternatives=request.logprobs or 0)
        try:
            async with asyncio.timeout(self.timeout):
                facts = self._facts or await self.facts()
                self._check_model(request, facts)
                if request.extra:
                    self._check_fields(request, facts)
                if request.prompt_logprobs:
                    return await self._with_prompt_logprobs(request, facts, started)
                if on_delta is not None:
                    return await self._stream(request, facts, arrived, on_delta)
                return await self._whole(request, facts, started)
        except BackendError as error:
            if arrived.began:
                error.partial = await self._partial(request, arrived)
            raise
        except TimeoutError as error:
            message = f"{self.url}: no complete answer within the {self.timeout:g} s allowed (`timeout` of the model)."
            partial = await self._partial(request, arrived) if arrived.began else None
            raise BackendTimeout(message, partial=partial) from error
        except asyncio.CancelledError as cancelled:
            if arrived.began:
                cancelled.partial = await self._partial(request, arrived)  # type: ignore[attr-defined]  # see Backend
            raise

    async def count(self, request: Request) -> Count:
        """Prompt tokens of `request`: the server's own count, else the tokenizer's, else an upper bound if allowed."""
        if request.prompt_token_ids is not None:
            return Count(len(request.prompt_token_ids), ids=request.prompt_token_ids)
        facts = await self.facts()
        self._check_model(request, facts)
        if facts.tokenizes:
            return await counting.count_prompt(request, facts, self._connection.post)
        try:
            if self.tokenizer is not None:
                return self.tokenizer.count_request(request)
            raise TokenizerUnavailable(
                f"{self.url} cannot count the prompt of a request for {self.model!r} (only llama.cpp and vLLM can). "
                "Give the model's tokenizer, or allow estimates with `estimate: true` on the model: budgets then "
                "reserve an upper bound."
            )
        except TokenizerUnavailable:
            if not self.estimate:
                raise
        from .tokenizers import upper_bound

        return upper_bound(request)

    async def facts(self) -> ServerFacts:
        """What the server is and can; asked once and remembered."""
        if self._facts is not None:
            return self._facts
        async with self._asking:
            if self._facts is None:
                self._facts = msgspec.structs.replace(await ask(self._connection, self.model), **self._known)
                self._connection.models = self._facts.models
                self._connection.streams_end_it = self._facts.server == "llama.cpp"
            return self._facts

    async def counters(self) -> Counters | None:
        """The server's own totals for this model, or None if it publishes none."""
        facts = await self.facts()
        if not facts.metrics:
            return None
        response = await self._connection.send("GET", f"{self._connection.root}/metrics")
        return counters(response.text, self.model) if response.status_code == 200 else None

    async def load(self) -> Load | None:
        """How busy the server is; None if it does not tell (only vLLM does)."""
        facts = await self.facts()
        if facts.server != "vllm" or not facts.metrics:
            return None
        response = await self._connection.send("GET", f"{self._connection.root}/metrics")
        return read_load(response.text) if response.status_code == 200 else None

    async def aclose(self) -> None:
        """Close the connections."""
        await self._connection.aclose()

    def _check_model(self, request: Request, facts: ServerFacts) -> None:
        if not serves(facts, request.model):
            raise failures.unknown_model(self.url, request.model, facts.models)

    def _check_fields(self, request: Request, facts: ServerFacts) -> None:
        """Nothing is sent that the server would accept and ignore."""
        chat = request.messages is not None
        for field in request.extra:
            if facts.knows(field, chat=chat) is False:
                raise failures.unknown_field(f"at {self.url}", field, facts, chat=chat)
        if "thinking_token_budget" in request.extra and facts.limits_thinking is False:
            raise BadRequest(
                f"{self.url} does not honour `thinking_token_budget`; start that vLLM with --reasoning-parser."
            )
        if request.extra.get("priority") and facts.schedules_priorities is False:
            raise BadRequest(
                f"{self.url} does not honour `priority`; start that vLLM with --scheduling-policy priority."
            )

    async def _whole(self, request: Request, facts: ServerFacts, started: float) -> Completion:
        url = self._connection.chat if request.messages is not None else self._connection.completions
        response = await self._connection.send("POST", url, wire.encode(wire.fields(request, server=facts.server)))
        if response.status_code != 200:
            raise self._connection.refused(response, request.model)
        answer = wire.decode(response.content, self.url)
        if answer.error is not None:
            raise self._connection.failed(answer.error, request.model)
        if not answer.choices:
            raise MalformedAnswer(f"{self.url} answered without `choices`; it is no OpenAI-compatible completion.")
        usage = wire.usage_of(answer)
        said = self._said(usage, facts) if usage is not None else UNKNOWN
        completion = whole(answer, said, started=started, alternatives=request.logprobs or 0)
        return completion if usage is not None else await self._counted(request, completion)

    async def _with_prompt_logprobs(self, request: Request, facts: ServerFacts, started: float) -> Completion:
        """In one piece: vLLM gives no logprobs of a prompt in a stream."""
        if not facts.knows("prompt_logprobs", chat=request.messages is not None):
            raise BadRequest(
                f"{self.url} does not say how likely the tokens of a prompt are, as far as it tells "
                "(`prompt_logprobs`, which vLLM has). Ask a model that vLLM serves."
            )
        completion = await self._whole(request, facts, started)
        if completion.prompt_logprobs is None:
            problem = f"{self.url} was asked for the logprobs of a prompt and gave none."
            raise BackendError(problem, partial=completion)
        return completion

    async def _stream(self, request: Request, facts: ServerFacts, arrived: Arrived, on_delta: OnDelta) -> Completion:
        url = self._connection.chat if request.messages is not None else self._connection.completions
        body = wire.encode(wire.fields(request, server=facts.server, stream=True))
        response = await self._connection.send("POST", url, body, stream=True)
        reader = EventReader()
        try:
            if response.status_code != 200:
                await response.aread()
                raise self._connection.refused(response, request.model)
            pieces = response.aiter_raw()
            while (piece := await self._next(pieces, arrived)) is not None:
                for event in reader.feed(piece):
                    if event == DONE:
                        await _drain(pieces)
                        return await self._ended(request, facts, arrived)
                    chunk = wire.decode(event, self.url)
                    if chunk.error is not None:
                        raise self._connection.failed(chunk.error, request.model, began=arrived.began)
                    text = arrived.add(chunk)
                    if text:
                        on_delta(Delta(text))
        finally:
            await response.aclose()
        if not arrived.began:
            raise MalformedAnswer(f"{self.url} was asked for a stream and sent none.")
        raise StreamCut(f"{self.url} ended the stream without its end mark ([DONE]); what had arrived is kept.")

    async def _next(self, pieces: AsyncIterator[bytes], arrived: Arrived) -> bytes | None:
        """The next bytes of a stream, or None at its end."""
        try:
            return await anext(pieces, None)
        except connection_errors() as error:
            if arrived.began:
                raise StreamCut(f"{self.url} broke the stream off before its end ({error!r}).") from error
            raise self._connection.broken(error, time.monotonic() - arrived.started) from error

    async def _ended(self, request: Request, facts: ServerFacts, arrived: Arrived) -> Completion:
        if not arrived.began:
            raise MalformedAnswer(f"{self.url} sent a stream with nothing in it.")
        if arrived.usage is not None:
            return arrived.completion(self._said(arrived.usage, facts))
        return await self._counted(request, arrived.completion(UNKNOWN))

    async def _partial(self, request: Request, arrived: Arrived) -> Completion:
        """What had arrived when a stream broke off. At once with running totals, else within `AFTERMATH`."""
        if arrived.usage is not None and self._facts is not None:
            # The running totals of vLLM leave the cached tokens out: here silence is not zero.
            read = arrived.usage.cache_read
            usage = msgspec.structs.replace(self._said(arrived.usage, self._facts), cache_read=read, source="counted")
            return arrived.completion(usage, finish="cut")
        completion = arrived.completion(UNKNOWN, finish="cut")
        try:
            async with asyncio.timeout(AFTERMATH):
                return await self._counted(request, completion)
        except (TimeoutError, asyncio.CancelledError):
            generated = _at_hand(completion)
            if generated is None:
                return completion
            return msgspec.structs.replace(completion, usage=Usage(None, generated, source="counted"))

    async def _counted(self, request: Request, completion: Completion) -> Completion:
        """`completion` with a usage counted by us; what cannot be counted stays unknown."""
        prompt, generated = None, _at_hand(completion)
        with suppress(LaconicError):
            prompt = await self.count(request)
        if generated is None:
            with suppress(LaconicError):
                generated = await self._tokens(request.model, completion.reasoning + completion.text)
        if prompt is None and generated is None:
            return completion
        if prompt is None:
            return msgspec.structs.replace(completion, usage=Usage(None, generated, source="counted"))
        return msgspec.structs.replace(completion, usage=Usage(prompt.tokens, generated, source=prompt.source))

    async def _tokens(self, model: str, text: str) -> int | None:
        facts = await self.facts()
        if facts.tokenizes:
            return await counting.count_text(model, text, facts, self._connection.post)
        return len(self.tokenizer.encode(text)) if self.tokenizer is not None else None

    def _said(self, usage: Usage, facts: ServerFacts) -> Usage:
        """A server's usage, read as its kind means it.

        Local servers bill no cache writes; the tokens that vLLM reports as written to its cache were computed like any
        other. And a vLLM that once reported cached tokens says nothing of them only where there were none.
        """
        if facts.server == "other":
            return usage
        read = usage.cache_read
        if read is not None:
            self._reports_cached = True
        elif self._reports_cached and facts.server == "vllm":
            read = 0
        return Usage(usage.prompt, usage.completion, read, 0, usage.reasoning, usage.source)


def _at_hand(completion: Completion) -> int | None:
    """How many tokens were generated, as far as the completion itself tells."""
    if completion.token_ids is not None:
        return len(completion.token_ids)
    return len(completion.logprobs) if completion.logprobs is not None else None


async def _drain(pieces: AsyncIterator[bytes]) -> None:
    """Read a stream that has given its end mark to its very end, so that its connection can be used again."""
    with suppress(TimeoutError, *connection_errors()):
        async with asyncio.timeout(DRAINING):
            async for _ in pieces:
                pass
