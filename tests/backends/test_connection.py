"""llama.cpp closes a connection after a stream and does not say so: the next call must not be sent on it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from laconic.backends.openai import OpenAIBackend
from laconic.backends.request import Message, Request

HI = Request(model="m", messages=(Message("user", "hi"),), max_tokens=1)
CHUNK = {"choices": [{"index": 0, "delta": {"content": "x"}, "finish_reason": "stop"}]}
USAGE = {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 1}}
EVENTS = [f"data: {json.dumps(body)}\n\n".encode() for body in (CHUNK, USAGE)] + [b"data: [DONE]\n\n"]


@pytest.mark.parametrize(("owner", "closes"), [("llamacpp", True), ("vllm", False)])
async def test_only_llama_cpp_is_told_to_close_after_a_stream(server: Any, owner: str, closes: bool) -> None:
    server.reply("/v1/models", {"data": [{"id": "m", "owned_by": owner}]})
    server.stream("/v1/chat/completions", *EVENTS)
    backend = OpenAIBackend("m", server.url)
    await backend.facts()
    for _ in range(3):
        await backend.complete(HI, lambda delta: None)
    streams = server.calls("/v1/chat/completions")
    assert [request.headers.get("connection") == "close" for request in streams] == [closes] * 3
    await backend.aclose()
