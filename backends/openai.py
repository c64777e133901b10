"""`OpenAIBackend`: one model of any OpenAI-compatible server: llama.cpp, vLLM, or a service behind a key."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from ..errors import (
    BackendError,
    BackendTimeout,
    BadRequest,
    LaconicError,
    MalformedAnswer,
    ServerFailure,
    StreamCut,
    TokenizerUnavailable,
    UnknownModel,
)
from . import counting, failures, wire
from .backend import Count, Counters, ServerFacts
from .facts import read_facts, serves
from .metrics import counters
from .request import Completion, Delta, OnDelta, Request
from .sse import DONE, EventReader
from .streaming import Arrived, whole
from .usage import Usage

if TYPE_CHECKING:
    import httpx

    from .tokenizers import Tokenizer

PROBE_LIMIT = 10.0
"""Seconds within which a server has to say what it is."""
AFTERMATH = 1.0
"""Seconds that counting a broken-off stream may take, so that a cancelled run ends soon."""


class OpenAIBackend:
    """Speaks the chat and completions protocols over HTTP, within one event loop.

    `url` is that of the API and usually ends in `/v1`. `timeout` is the most seconds a call may take from first to last.
    `estimate` allows `count` to answer with an upper bound where no exact count can be had; `tokenizer` counts where the
    server does not. The key is sent to this server and shown nowhere.

    Usage is the server's own. Where it gives none, and for a stream that broke off, what had arrived is counted: from the
    running totals that vLLM and llama.cpp send with a stream, else from token ids, else from logprobs, else by tokenizing
    the text, which can differ by a token or so from what was generated (an end token has no text). Such a usage has the
    source `counted`. It leaves out what a server generated and did not get to send.
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
    ) -> None:
        import httpx

        from .transport import fast_client

        self.name = name
        self.model = model
        self.url = url.strip().rstrip("/")
        self.timeout = timeout
        self.estimate = estimate
        self.tokenizer = tokenizer
        try:
            address = httpx.URL(self.url)
        except httpx.InvalidURL as error:
            raise BadRequest(f"{url!r} is no url ({error}); write it as http://host:port/v1") from error
        if address.scheme not in ("http", "https") or not address.host:
            raise BadRequest(f"{url!r} is no http address; write it as http://host:port/v1")
        self._root = self.url.removesuffix("/v1")
        self._chat = httpx.URL(f"{self.url}/chat/completions")
        self._completions = httpx.URL(f"{self.url}/completions")
        self._headers = {"content-type": "application/json", "accept": "*/*", "accept-encoding": "identity"}
        if key:
            self._headers["authorization"] = f"Bearer {key.strip()}"
        self._client = fast_client(secure=address.scheme == "https", transport=transport)
        self._limits = {"timeout": self._client.timeout.as_dict()}
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
                if not serves(facts, request.model):
                    raise failures.unknown_model(self.url, request.model, facts.models)
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
            return Count(len(request.prompt_token_ids))
        facts = await self.facts()
        if not serves(facts, request.model):
            raise failures.unknown_model(self.url, request.model, facts.models)
        if facts.tokenizes:
            return Count(await counting.count_prompt(request, facts, self._post))
        try:
            if self.tokenizer is not None:
                return self.tokenizer.count_request(request)
            raise TokenizerUnavailable(
                f"{self.url} cannot count the prompt of a request for {self.model!r} (only llama.cpp and vLLM can). Give "
                "the model's tokenizer, or allow estimates with `estimate: true` on the model: budgets then reserve an "
                "upper bound."
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
                paths = (f"{self.url}/models", f"{self._root}/props", f"{self._root}/version")
                models, props, version = await asyncio.gather(*(self._probe(path) for path in paths))
                self._facts = read_facts(self.model, models, props, version)
            return self._facts

    async def counters(self) -> Counters | None:
        """The server's own totals for this model, or None if it publishes none."""
        facts = await self.facts()
        if not facts.metrics:
            return None
        response = await self._send("GET", f"{self._root}/metrics")
        return counters(response.text, self.model) if response.status_code == 200 else None

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _whole(self, request: Request, facts: ServerFacts, started: float) -> Completion:
        url = self._chat if request.messages is not None else self._completions
        response = await self._send("POST", url, wire.encode(wire.fields(request, server=facts.server)))
        if response.status_code != 200:
            raise self._refused(response, request.model)
        answer = wire.decode(response.content, self.url)
        if answer.error is not None:
            raise self._failed(answer.error, request.model)
        if not answer.choices:
            raise MalformedAnswer(f"{self.url} answered without `choices`; it is no OpenAI-compatible completion.")
        usage = wire.usage_of(answer)
        alternatives = request.logprobs or 0
        if usage is not None:
            return whole(answer, self._said(usage, facts), started=started, alternatives=alternatives)
        completion = whole(answer, wire.usage_or_unknown(answer), started=started, alternatives=alternatives)
        return await self._counted(request, completion)

    async def _stream(self, request: Request, facts: ServerFacts, arrived: Arrived, on_delta: OnDelta) -> Completion:
        url = self._chat if request.messages is not None else self._completions
        body = wire.encode(wire.fields(request, server=facts.server, stream=True))
        response = await self._send("POST", url, body, stream=True)
        reader = EventReader()
        try:
            if response.status_code != 200:
                await response.aread()
                raise self._refused(response, request.model)
            async for piece in response.aiter_raw():
                for event in reader.feed(piece):
                    if event == DONE:
                        return await self._ended(request, facts, arrived)
                    chunk = wire.decode(event, self.url)
                    if chunk.error is not None:
                        raise self._failed(chunk.error, request.model, began=arrived.began)
                    text = arrived.add(chunk)
                    if text:
                        on_delta(Delta(text))
        except self._connection_errors() as error:
            if not arrived.began:
                raise failures.broken(error, self.url, time.monotonic() - arrived.started) from error
            raise StreamCut(f"{self.url} broke the stream off before its end ({error!r}).") from error
        finally:
            await response.aclose()
        if not arrived.began:
            raise MalformedAnswer(f"{self.url} was asked for a stream and sent none.")
        raise StreamCut(f"{self.url} ended the stream without its end mark ([DONE]).")
