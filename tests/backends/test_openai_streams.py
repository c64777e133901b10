from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from laconic.backends.backend import Count
from laconic.backends.openai import OpenAIBackend
from laconic.backends.request import Delta, Message, Request, TokenLogprob
from laconic.backends.usage import UNKNOWN, Usage
from laconic.errors import BackendTimeout, BadRequest, MalformedAnswer, ServerFailure, StreamCut

CHAT = "/v1/chat/completions"
HI = Request(model="m", messages=(Message("user", "hi"),))


def event(data: Any, end: str = "\n") -> bytes:
    return f"data: {data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)}{end}{end}".encode()


def piece(text: str, **more: Any) -> dict[str, Any]:
    return {"model": "m-0724", "choices": [{"index": 0, "delta": {"content": text}, **more}]}


ROLE = {"choices": [{"index": 0, "delta": {"role": "assistant", "content": None}, "finish_reason": None}]}
END = {"choices": [{"index": 0, "delta": {}, "finish_reason": "length"}], "usage": None}
USAGE = {
    "choices": [],
    "usage": {"prompt_tokens": 9, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 3}},
}
DONE = event("[DONE]")


class Letters:
    """A tokenizer whose tokens are characters."""

    name = "letters"

    def encode(self, text: str) -> list[int]:
        return [ord(letter) for letter in text]

    def decode(self, ids: Any) -> str:
        return "".join(chr(n) for n in ids)

    def count_request(self, request: Request) -> Count:
        return Count(sum(len(message.content) for message in request.messages or ()))


class Heard(list[str]):
    """Collects a stream's deltas."""

    def __call__(self, delta: Delta) -> None:
        self.append(delta.text)


@pytest.fixture
async def backend(server: Any) -> AsyncIterator[OpenAIBackend]:
    made = OpenAIBackend("m", server.url)
    yield made
    await made.aclose()


async def test_a_stream(server: Any, backend: OpenAIBackend) -> None:
    server.stream(CHAT, event(ROLE), event(piece("Zoë")), event(piece(" ✓")), event(END), event(USAGE), DONE)
    heard = Heard()
    completion = await backend.complete(HI, heard)
    assert heard == ["Zoë", " ✓"]
    assert completion.text == "Zoë ✓"
    assert completion.usage == Usage(9, 2, 3)
    assert (completion.finish_reason, completion.model) == ("length", "m-0724")
    assert completion.first_token_seconds is not None
    assert 0 < completion.first_token_seconds <= completion.seconds
    assert server.calls(CHAT)[0].json["stream_options"] == {"include_usage": True}


async def test_the_completions_protocol_streams_too(server: Any, backend: OpenAIBackend) -> None:
    last = {"choices": [{"text": "", "finish_reason": "stop"}], "usage": {"prompt_tokens": 2, "completion_tokens": 2}}
    server.stream(
        "/v1/completions", event({"choices": [{"text": "a"}]}), event({"choices": [{"text": "b"}]}), event(last), DONE
    )
    completion = await backend.complete(Request(model="m", prompt="x"), heard := Heard())
    assert (heard, completion.text, completion.usage, completion.finish_reason) == (
        ["a", "b"],
        "ab",
        Usage(2, 2),
        "stop",
    )


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
async def test_keep_alives_and_any_line_end(server: Any, backend: OpenAIBackend, end: str) -> None:
    alive = f": keep-alive{end}{end}".encode()
    events = [event(data, end) for data in (ROLE, piece("a"), END, USAGE, "[DONE]")]
    server.stream(CHAT, alive, *(part for one in events for part in (one, alive)))
    completion = await backend.complete(HI, heard := Heard())
    assert (heard, completion.usage) == (["a"], Usage(9, 2, 3))


@pytest.mark.parametrize("size", [1, 2, 3, 7])
async def test_characters_split_over_packets(size: int) -> None:
    whole = b"".join(event(data, "\r\n") for data in (piece("日本"), piece("🎉é"), USAGE, "[DONE]"))

    class Packets(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            for start in range(0, len(whole), size):
                yield whole[start : start + size]

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(404)
        return httpx.Response(200, stream=Packets())

    backend = OpenAIBackend("m", "http://test/v1", transport=httpx.MockTransport(answer))
    completion = await backend.complete(HI, heard := Heard())
    assert (heard, completion.text, completion.usage) == (["日本", "🎉é"], "日本🎉é", Usage(9, 2, 3))


async def test_logprobs_and_ids_add_up(server: Any, backend: OpenAIBackend) -> None:
    def logprob(token: str, n: int) -> dict[str, Any]:
        return {
            "content": [{"token": token, "logprob": -n, "id": n, "top_logprobs": [{"token": token, "logprob": -n}]}]
        }

    chunks = [piece("a", logprobs=logprob("a", 1)), piece("b", logprobs=logprob("b", 2)), USAGE]
    server.stream(CHAT, *map(event, chunks), DONE)
    completion = await backend.complete(Request(model="m", messages=HI.messages, logprobs=1), Heard())
    assert completion.logprobs == (TokenLogprob("a", -1, 1, (("a", -1),)), TokenLogprob("b", -2, 2, (("b", -2),)))
    assert completion.token_ids == (1, 2)


async def test_token_ids_of_vllm(server: Any, backend: OpenAIBackend) -> None:
    first = {"prompt_token_ids": [7, 8], **ROLE}
    server.stream(CHAT, event(first), event(piece("a", token_ids=[1, 2])), event(piece("b", token_ids=[3])), DONE)
    completion = await backend.complete(HI, Heard())
    assert (completion.prompt_token_ids, completion.token_ids) == ((7, 8), (1, 2, 3))
    assert completion.usage == Usage(None, 3, source="counted")


async def test_reasoning_is_kept_apart(server: Any, backend: OpenAIBackend) -> None:
    thought = {"choices": [{"delta": {"reasoning_content": "hm"}}]}
    server.stream(CHAT, event(thought), event(piece("a")), event(USAGE), DONE)
    completion = await backend.complete(HI, heard := Heard())
    assert (heard, completion.text, completion.reasoning) == (["a"], "a", "hm")


async def test_without_a_usage_chunk_what_came_is_counted(server: Any) -> None:
    server.stream(CHAT, event(ROLE), event(piece("abc")), event(END), DONE)
    backend = OpenAIBackend("m", server.url, tokenizer=Letters())
    completion = await backend.complete(HI, Heard())
    assert completion.usage == Usage(2, 3, None, None, None, "counted")
    assert completion.finish_reason == "length"
    await backend.aclose()


async def test_without_a_usage_chunk_and_a_tokenizer_nothing_is_known(server: Any, backend: OpenAIBackend) -> None:
    server.stream(CHAT, event(ROLE), event(piece("abc")), event(END), DONE)
    assert (await backend.complete(HI, Heard())).usage == UNKNOWN


@pytest.mark.parametrize("end", ["close", "inside", "reset", "whole"])
async def test_a_stream_that_is_cut_keeps_and_counts_what_arrived(server: Any, end: str) -> None:
    backend = OpenAIBackend("m", server.url, tokenizer=Letters())
    asked = asyncio.Event()

    async def cut(_: Any, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        for data in (ROLE, piece("abc"), piece("de")):
            line = event(data)
            writer.write(b"%x\r\n%s\r\n" % (len(line), line))
        await asked.wait()  # a reset would take back what the client has not read
        if end == "reset":
            writer.transport.abort()
            return
        writer.write({"close": b"", "inside": b"40\r\ndata: {", "whole": b"0\r\n\r\n"}[end])
        writer.close()

    server.handlers[CHAT] = cut
    heard: list[str] = []

    def hear(delta: Delta) -> None:
        heard.append(delta.text)
        if len(heard) == 2:
            asked.set()

    with pytest.raises(StreamCut) as raised:
        await backend.complete(HI, hear)
    partial = raised.value.partial
    assert (partial.text, partial.finish_reason) == ("abcde", "cut")
    assert partial.usage == Usage(2, 5, None, None, None, "counted")
    assert raised.value.retryable
    await backend.aclose()


async def test_a_cut_before_anything_came_is_no_partial_answer(server: Any, backend: OpenAIBackend) -> None:
    server.stream(CHAT, end="close")
    with pytest.raises(ServerFailure) as raised:
        await backend.complete(HI, Heard())
    assert raised.value.partial is None


@pytest.mark.parametrize("pieces", [(), (DONE,), (b": nothing\n\n",)])
async def test_an_empty_stream_is_malformed(server: Any, backend: OpenAIBackend, pieces: tuple[bytes, ...]) -> None:
    server.stream(CHAT, *pieces)
    with pytest.raises(MalformedAnswer):
        await backend.complete(HI, Heard())


async def test_an_error_in_the_middle_keeps_what_arrived(server: Any) -> None:
    backend = OpenAIBackend("m", server.url, tokenizer=Letters())
    server.stream(CHAT, event(piece("abc")), event({"error": {"message": "out of memory", "code": 500}}), DONE)
    with pytest.raises(ServerFailure, match="out of memory") as raised:
        await backend.complete(HI, Heard())
    assert raised.value.partial.text == "abc"
    assert raised.value.partial.usage == Usage(2, 3, source="counted")
    await backend.aclose()


async def test_an_error_instead_of_a_stream_is_the_error_it_is(server: Any, backend: OpenAIBackend) -> None:
    server.stream(CHAT, event({"error": {"message": "bad schema", "code": 400}}), DONE)
    with pytest.raises(BadRequest, match="bad schema"):
        await backend.complete(HI, Heard())


async def test_nonsense_in_the_middle_keeps_what_arrived(server: Any, backend: OpenAIBackend) -> None:
    server.stream(CHAT, event(piece("abc", token_ids=[1, 2])), event("{oops"), DONE)
    with pytest.raises(MalformedAnswer, match="oops") as raised:
        await backend.complete(HI, Heard())
    assert raised.value.partial.usage == Usage(None, 2, source="counted")


async def test_a_timeout_in_the_middle_keeps_what_arrived(server: Any) -> None:
    backend = OpenAIBackend("m", server.url, timeout=1.0, tokenizer=Letters())
    server.stream(CHAT, event(piece("abc")), end="hang")
    with pytest.raises(BackendTimeout) as raised:
        await backend.complete(HI, Heard())
    assert raised.value.partial.text == "abc"
    assert raised.value.partial.usage == Usage(2, 3, source="counted")
    await server.left.wait()
    await backend.aclose()


async def cancelled(backend: OpenAIBackend, request: Request = HI) -> asyncio.CancelledError:
    """The cancellation of a stream after its first piece."""
    call = asyncio.ensure_future(backend.complete(request, lambda _: call.cancel() and None))
    with pytest.raises(asyncio.CancelledError) as raised:
        await call
    return raised.value


async def test_a_cancelled_stream_closes_its_connection_and_tells_what_arrived(server: Any) -> None:
    backend = OpenAIBackend("m", server.url, tokenizer=Letters())
    server.stream(CHAT, event(piece("abc")), end="hang")
    partial = (await cancelled(backend)).partial  # type: ignore[attr-defined]  # the contract of Backend
    assert (partial.text, partial.finish_reason, partial.usage) == ("abc", "cut", Usage(2, 3, source="counted"))
    await server.left.wait()
    await backend.aclose()


@pytest.mark.parametrize(
    ("models", "chunk"),
    [
        (
            {"data": [{"id": "m", "owned_by": "vllm"}]},
            {**piece("abc"), "usage": {"prompt_tokens": 20, "completion_tokens": 3}},
        ),
        (
            {"data": [{"id": "m", "owned_by": "llamacpp"}]},
            {**piece("abc"), "timings": {"cache_n": 12, "prompt_n": 8, "predicted_n": 3}},
        ),
    ],
)
async def test_running_totals_make_a_cancelled_stream_exact(
    server: Any, backend: OpenAIBackend, models: Any, chunk: Any
) -> None:
    server.reply("/v1/models", models)
    server.stream(CHAT, event(ROLE), event(chunk), end="hang")
    asked = len(server.requests)
    usage = (await cancelled(backend)).partial.usage  # type: ignore[attr-defined]  # the contract of Backend
    assert (usage.prompt, usage.completion, usage.source) == (20, 3, "counted")
    assert usage.cache_read == (12 if "timings" in chunk else None)
    assert len(server.requests) == asked + 4, "the three questions and the call; nothing was asked while cancelling"


async def test_running_totals_without_cached_tokens_are_not_read_as_none_cached(
    server: Any, backend: OpenAIBackend
) -> None:
    server.reply("/v1/models", {"data": [{"id": "m", "owned_by": "vllm"}]})
    told = {"usage": {"prompt_tokens": 20, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 16}}}
    server.stream(CHAT, event(ROLE), event({**piece("abc"), **told}), DONE)
    assert (await backend.complete(HI, Heard())).usage.cache_read == 16
    running = {"usage": {"prompt_tokens": 20, "completion_tokens": 3}}
    server.stream(CHAT, event(ROLE), event({**piece("abc"), **running}), end="hang")
    usage = (await cancelled(backend)).partial.usage  # type: ignore[attr-defined]  # the contract of Backend
    assert usage == Usage(20, 3, None, 0, None, "counted")


async def test_counting_after_a_cancellation_is_given_up_soon(
    server: Any, backend: OpenAIBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("laconic.backends.openai.AFTERMATH", 0.05)
    server.reply("/v1/models", {"data": [{"id": "m", "owned_by": "vllm"}]})
    server.reply("/version", {"version": "0.33.0"})
    server.hang("/tokenize")
    server.stream(CHAT, event(piece("abc", token_ids=[1, 2])), end="hang")
    usage = (await cancelled(backend)).partial.usage  # type: ignore[attr-defined]  # the contract of Backend
    assert usage == Usage(None, 2, source="counted")


async def test_a_server_that_never_ends_after_its_end_mark(server: Any, backend: OpenAIBackend) -> None:
    server.stream(CHAT, event(piece("a")), event(USAGE), DONE, end="hang")
    assert (await backend.complete(HI, Heard())).usage == Usage(9, 2, 3)
    await server.left.wait()


async def test_a_callback_that_fails_ends_the_stream(server: Any, backend: OpenAIBackend) -> None:
    server.stream(CHAT, event(piece("a")), end="hang")

    def fail(_: Delta) -> None:
        raise OSError("the screen is gone")

    with pytest.raises(OSError, match="the screen is gone"):
        await backend.complete(HI, fail)
    await server.left.wait()
