"""`OpenAIBackend` against llama.cpp's own server with SmolLM2: every figure we keep is the server's figure."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from laconic.backends.backend import Counters
from laconic.backends.openai import OpenAIBackend
from laconic.backends.request import Delta, Message, Request
from laconic.errors import BackendTimeout, BadRequest, ContextTooLong, UnknownModel

pytestmark = pytest.mark.integration

MODEL = "smollm2-135m-instruct"
CONTEXT = 512
SLOT = {"id_slot": 0}
"""Puts calls behind each other: the second begins when the server is done with the first, and has counted it."""
SCHEMA = {
    "type": "object",
    "properties": {"n": {"type": "integer", "maximum": 99}},
    "required": ["n"],
    "additionalProperties": False,
}


def weights() -> Path:
    given = os.environ.get("LACONIC_TEST_GGUF")
    if given:
        return Path(given)
    from laconic.backends.catalogue import find
    from laconic.backends.pull import pull

    return find(MODEL) or pull(MODEL)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(weights())
    params.model_alias = {MODEL}
    params.n_ctx = 2 * CONTEXT
    params.n_parallel = 2
    params.endpoint_metrics = True
    params.cpuparams.n_threads = 1
    params.port = 0
    running = xllamacpp.Server(params)
    yield f"{running.listening_address}/v1"
    del running


@pytest.fixture
async def backend(address: str) -> AsyncIterator[OpenAIBackend]:
    made = OpenAIBackend(MODEL, address)
    yield made
    await made.aclose()


async def spent(backend: OpenAIBackend, before: Counters | None) -> Counters:
    after = await backend.counters()
    assert before is not None
    assert after is not None
    return after.since(before)


def chat(*contents: str, **more: Any) -> Request:
    roles = ("system", "user") if len(contents) == 2 else ("user",)
    messages = tuple(Message(role, content) for role, content in zip(roles, contents, strict=True))
    return Request(model=MODEL, messages=messages, **{"max_tokens": 4, **more})


async def test_what_the_server_is(backend: OpenAIBackend) -> None:
    facts = await backend.facts()
    assert (facts.server, facts.models, facts.context) == ("llama.cpp", (MODEL,), CONTEXT)
    assert (facts.tokenizes, facts.metrics, facts.reports_cached) == (True, True, True)


@pytest.mark.parametrize(
    "request_",
    [
        chat("Say hi."),
        chat("You answer in one word.", "Which colour is the sky?"),
        chat("<|im_start|>user\nspecial tokens in the text<|im_end|>"),
        chat("日本語 🎉 Zoë\r\n\ttabs  and   spaces"),
        chat(""),
        chat("Give a number.", schema=SCHEMA, max_tokens=12),
        Request(model=MODEL, prompt="The capital of France is", max_tokens=4),
        Request(model=MODEL, prompt="<|im_start|>user\nhi<|im_end|>\n", max_tokens=4),
        Request(model=MODEL, prompt_token_ids=(504, 3575, 282, 4649, 314), max_tokens=4),
    ],
    ids=lambda request: str(request.messages or request.prompt or request.prompt_token_ids)[:40],
)
async def test_counts_and_counters_equal_the_usage(backend: OpenAIBackend, request_: Request) -> None:
    before = await backend.counters()
    plain = await backend.complete(request_)
    count = await backend.count(request_)
    heard: list[Delta] = []
    streamed = await backend.complete(request_, heard.append)
    assert (count.tokens, count.source) == (plain.usage.prompt, "counted")
    assert "".join(delta.text for delta in heard) == streamed.text == plain.text
    assert streamed.usage.prompt == plain.usage.prompt
    assert streamed.usage.completion == plain.usage.completion
    usages = (plain.usage, streamed.usage)
    assert all(usage.source == "server" for usage in usages)
    moved = await spent(backend, before)
    assert moved.computed == sum(usage.uncached or 0 for usage in usages)
    assert moved.cached == sum(usage.cache_read or 0 for usage in usages)
    assert moved.generated == sum(usage.completion or 0 for usage in usages)


async def test_a_repeated_prefix_is_reported_as_cached(backend: OpenAIBackend) -> None:
    request = chat("You list facts about harbours, ships and lighthouses.", "Begin with ships.")
    await backend.complete(request)
    usage = (await backend.complete(request)).usage
    assert usage.prompt is not None
    assert usage.cache_read == usage.prompt - 1, "llama.cpp computes the last token again"
    assert usage.uncached == 1


@pytest.mark.parametrize("how", ["plain", "stream"])
@pytest.mark.parametrize("request_", [chat("Count to five."), Request(model=MODEL, prompt="1 2 3", max_tokens=4)])
async def test_logprobs_name_every_generated_token(backend: OpenAIBackend, request_: Request, how: str) -> None:
    asked = Request(model=MODEL, messages=request_.messages, prompt=request_.prompt, max_tokens=4, logprobs=2)
    completion = await backend.complete(asked, (lambda _: None) if how == "stream" else None)
    assert completion.logprobs is not None
    assert completion.token_ids is not None
    assert len(completion.logprobs) == len(completion.token_ids) == completion.usage.completion
    assert "".join(entry.token for entry in completion.logprobs) == completion.text
    for entry in completion.logprobs:
        assert len(entry.top) == 2
        assert entry.top[0] == (entry.token, entry.logprob), "at temperature 0 the likeliest token is taken"
        assert entry.top[0][1] >= entry.top[1][1]


@pytest.mark.parametrize("how", ["chat", "completion"])
async def test_a_schema_is_kept_in_both_protocols(backend: OpenAIBackend, how: str) -> None:
    request = (
        chat("Give a number.", schema=SCHEMA, max_tokens=40)
        if how == "chat"
        else Request(model=MODEL, prompt="A number as JSON:", schema=SCHEMA, max_tokens=40)
    )
    assert isinstance(json.loads((await backend.complete(request)).text)["n"], int)


async def test_stop_and_seed(backend: OpenAIBackend) -> None:
    request = Request(model=MODEL, prompt="1, 2, 3, 4, 5,", max_tokens=24, stop=(" 8",))
    completion = await backend.complete(request)
    assert completion.finish_reason == "stop"
    assert "8" not in completion.text
    drawn = chat("Tell me a word.", temperature=1.5, top_p=0.95, seed=11, max_tokens=8)
    first, second = await backend.complete(drawn), await backend.complete(drawn)
    assert first.text == second.text


async def test_a_cancelled_stream_stops_the_server_and_is_counted_exactly(backend: OpenAIBackend) -> None:
    before = await backend.counters()
    request = chat("Tell a very long story about the sea.", max_tokens=400, extra=SLOT)
    heard: list[Delta] = []

    def cancel_after_five(delta: Delta) -> None:
        heard.append(delta)
        if len(heard) == 5:
            call.cancel()

    call = asyncio.ensure_future(backend.complete(request, cancel_after_five))
    with pytest.raises(asyncio.CancelledError) as raised:
        await call
    partial = raised.value.partial  # type: ignore[attr-defined]  # the contract of Backend
    assert partial.text == "".join(delta.text for delta in heard)
    assert (partial.usage.completion, partial.usage.source) == (5, "counted")
    assert partial.usage.prompt == (await backend.count(request)).tokens
    await backend.complete(chat("hi", extra=SLOT))
    generated = (await spent(backend, before)).generated
    assert generated < 100, "the server stopped generating"


async def test_a_call_that_takes_too_long_stops_the_server_too(address: str, backend: OpenAIBackend) -> None:
    before = await backend.counters()
    hasty = OpenAIBackend(MODEL, address, timeout=0.5)
    with pytest.raises(BackendTimeout, match=r"0\.5 s"):
        await hasty.complete(chat("Tell a very long story about the sea.", max_tokens=440, extra=SLOT))
    await hasty.aclose()
    await backend.complete(chat("hi", extra=SLOT))
    assert (await spent(backend, before)).generated < 400, "the server stopped generating"


async def test_errors_of_the_real_server(backend: OpenAIBackend) -> None:
    with pytest.raises(ContextTooLong, match="exceeds the available context"):
        await backend.complete(chat("word " * 2 * CONTEXT))
    with pytest.raises(BadRequest, match="invalid tokens"):
        await backend.complete(Request(model=MODEL, prompt_token_ids=(10**8,)))
    with pytest.raises(UnknownModel, match=MODEL):
        await backend.complete(Request(model="another", prompt="x"))


async def test_more_calls_at_once_than_slots(backend: OpenAIBackend) -> None:
    before = await backend.counters()
    answers = await asyncio.gather(*(backend.complete(chat(f"Say {n}.", max_tokens=1)) for n in range(24)))
    server = await spent(backend, before)
    assert server.prompt == sum(answer.usage.prompt or 0 for answer in answers)
    assert server.generated == 24
