from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from email.utils import formatdate
from typing import Any

import httpx
import pytest

from laconic.backends.openai import OpenAIBackend
from laconic.backends.request import Message, Request
from laconic.errors import (
    BackendError,
    BackendTimeout,
    BackendUnreachable,
    BadRequest,
    ContextTooLong,
    MalformedAnswer,
    RateLimited,
    ServerFailure,
    UnknownModel,
)

CHAT = "/v1/chat/completions"
HI = Request(model="m", messages=(Message("user", "hi"),))


@pytest.fixture
async def backend(server: Any) -> AsyncIterator[OpenAIBackend]:
    made = OpenAIBackend("m", server.url)
    yield made
    await made.aclose()


@pytest.mark.parametrize("how", ["plain", "stream"])
@pytest.mark.parametrize(
    ("status", "body", "error", "says"),
    [
        (
            400,
            {"error": {"message": "bad temperature", "type": "invalid_request_error"}},
            BadRequest,
            "bad temperature",
        ),
        (422, {"detail": [{"msg": "field required"}]}, BadRequest, "field required"),
        (404, {"detail": "Not Found"}, BadRequest, "/v1"),
        (405, "", BadRequest, "/v1"),
        (401, {"error": "Invalid API Key"}, BadRequest, "key"),
        (403, "forbidden", BadRequest, "key"),
        (413, "too big", BadRequest, "too big"),
        (
            404,
            {"error": {"message": "The model `m` does not exist.", "type": "NotFoundError", "code": 404}},
            UnknownModel,
            "has no model 'm'. It has: a, b",
        ),
        (404, {"error": {"message": "gone", "code": "model_not_found"}}, UnknownModel, "It has: a, b"),
        (404, {"error": "model 'm' not found, try pulling it first"}, UnknownModel, "It has: a, b"),
        (400, {"error": {"message": "no", "param": "model", "code": None}}, UnknownModel, "It has: a, b"),
        (
            400,
            {
                "error": {
                    "code": 400,
                    "message": "request (631 tokens) exceeds the available context size (512 tokens)",
                    "type": "exceed_context_size_error",
                    "n_prompt_tokens": 631,
                    "n_ctx": 512,
                }
            },
            ContextTooLong,
            "631 tokens",
        ),
        (
            400,
            {"error": {"message": "Please shorten it.", "code": "context_length_exceeded", "param": "messages"}},
            ContextTooLong,
            "max_tokens",
        ),
        (
            400,
            {"object": "error", "message": "This model's maximum context length is 4096 tokens. However, you ..."},
            ContextTooLong,
            "4096",
        ),
        (
            400,
            {"error": {"message": "The decoder prompt (length 600) is longer than the maximum model length of 512."}},
            ContextTooLong,
            "600",
        ),
        (429, {"error": {"message": "slow down"}}, RateLimited, "slow down"),
        (429, {"error": {"message": "pay first", "code": "insufficient_quota"}}, BadRequest, "quota"),
        (500, "oops", ServerFailure, "oops"),
        (502, "<html>bad gateway</html>", ServerFailure, "502"),
        (503, {"error": {"message": "Loading model", "type": "unavailable_error"}}, ServerFailure, "Loading model"),
        (200, "<html>welcome</html>", MalformedAnswer, "welcome"),
        (200, {"object": "list"}, MalformedAnswer, ""),
        (200, {"choices": []}, MalformedAnswer, ""),
        (200, "", MalformedAnswer, ""),
    ],
)
async def test_a_refusal_becomes_the_error_it_is(
    server: Any, backend: OpenAIBackend, how: str, status: int, body: Any, error: type[BackendError], says: str
) -> None:
    server.reply("/v1/models", {"data": [{"id": "a"}, {"id": "b"}]})
    server.reply(CHAT, body, status=status)
    with pytest.raises(error) as raised:
        await backend.complete(HI, (lambda _: None) if how == "stream" else None)
    assert type(raised.value) is error
    assert server.url in raised.value.message
    if how == "plain" or status != 200:
        assert says in raised.value.message
    assert raised.value.partial is None


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": "1.5"}, 1.5),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "7", "retry-after-ms": "250"}, 0.25),
    ],
)
async def test_a_server_that_asks_for_patience(
    server: Any, backend: OpenAIBackend, status: int, headers: dict[str, str], wait: float | None
) -> None:
    server.reply(CHAT, {"error": {"message": "busy"}}, status=status, headers=headers)
    with pytest.raises(RateLimited) as raised:
        await backend.complete(HI)
    assert raised.value.retry_after == wait


async def test_patience_until_a_date(server: Any, backend: OpenAIBackend) -> None:
    server.reply(CHAT, "", status=429, headers={"Retry-After": formatdate(time.time() + 60, usegmt=True)})
    with pytest.raises(RateLimited) as raised:
        await backend.complete(HI)
    assert raised.value.retry_after is not None
    assert 55 < raised.value.retry_after <= 60
    server.reply(CHAT, "", status=429, headers={"Retry-After": formatdate(0, usegmt=True)})
    with pytest.raises(RateLimited) as raised:
        await backend.complete(HI)
    assert raised.value.retry_after == 0


async def test_a_redirect_says_where_to(server: Any, backend: OpenAIBackend) -> None:
    server.reply(CHAT, "", status=307, headers={"Location": "https://example.org/v1"})
    with pytest.raises(BadRequest, match=r"https://example\.org/v1"):
        await backend.complete(HI)


async def test_nothing_answers() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        backend = OpenAIBackend("m", f"http://127.0.0.1:{held.getsockname()[1]}/v1")
        with pytest.raises(BackendUnreachable, match="Is the server running") as raised:
            await backend.complete(HI)
    assert raised.value.spent_nothing
    await backend.aclose()


async def test_a_name_that_does_not_resolve() -> None:
    backend = OpenAIBackend("m", "http://no-such-host.invalid/v1")
    with pytest.raises(BackendUnreachable, match=r"no-such-host\.invalid"):
        await backend.complete(HI)
    await backend.aclose()


@pytest.mark.parametrize("url", ["127.0.0.1:8000/v1", "ftp://x/v1", "http://", "", "http://[::1"])
def test_a_url_that_is_none(url: str) -> None:
    with pytest.raises(BadRequest, match="http://host:port/v1"):
        OpenAIBackend("m", url)


async def test_a_connection_lost_before_the_answer_may_have_cost_tokens(server: Any, backend: OpenAIBackend) -> None:
    server.drop(CHAT)
    with pytest.raises(ServerFailure, match="closed the connection") as raised:
        await backend.complete(HI)
    assert not raised.value.spent_nothing
    assert raised.value.retryable


async def test_an_answer_cut_short(server: Any, backend: OpenAIBackend) -> None:
    async def half(_: Any, writer: asyncio.StreamWriter) -> None:
        writer.write(b'HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n{"choices": [')
        writer.close()

    server.handlers[CHAT] = half
    with pytest.raises(ServerFailure):
        await backend.complete(HI)


async def test_something_that_is_not_http(server: Any, backend: OpenAIBackend) -> None:
    async def noise(_: Any, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example.org ESMTP\r\n\r\n")
        writer.close()

    server.handlers[CHAT] = noise
    with pytest.raises(MalformedAnswer, match="HTTP"):
        await backend.complete(HI)


async def test_no_answer_in_time(server: Any) -> None:
    server.hang(CHAT)
    backend = OpenAIBackend("m", server.url, timeout=0.6)
    with pytest.raises(BackendTimeout, match=r"0\.6 s") as raised:
        await backend.complete(HI)
    assert raised.value.partial is None
    await server.left.wait()
    await backend.aclose()


async def test_a_cancelled_call_closes_its_connection(server: Any, backend: OpenAIBackend) -> None:
    server.hang(CHAT)
    call = asyncio.ensure_future(backend.complete(HI))
    await server.held.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError) as raised:
        await call
    assert not hasattr(raised.value, "partial"), "nothing had arrived, so nothing is known"
    await server.left.wait()


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (httpx.ConnectError("refused"), BackendUnreachable),
        (httpx.ConnectTimeout("slow"), BackendUnreachable),
        (httpx.ReadTimeout("slow"), BackendTimeout),
        (httpx.ReadError("lost"), ServerFailure),
        (httpx.RemoteProtocolError("noise"), MalformedAnswer),
    ],
)
async def test_any_httpx_transport_will_do(fault: Exception, error: type[BackendError]) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise fault

    backend = OpenAIBackend("m", "http://test/v1", transport=httpx.MockTransport(answer))
    with pytest.raises(error) as raised:
        await backend.complete(HI)
    assert type(raised.value) is error
