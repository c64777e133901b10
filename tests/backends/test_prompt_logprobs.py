"""How likely a prompt's tokens are: asked of a server that knows it, refused elsewhere, and no old key changes."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from laconic.accounting.store import request_key
from laconic.backends.openai import OpenAIBackend
from laconic.backends.request import Completion, Message, Request
from laconic.backends.scripted import ScriptedBackend
from laconic.backends.vllm_engine import VLLMEngineBackend
from laconic.errors import BackendError, BadRequest

READ = Request(model="m", prompt="a cat", max_tokens=1, prompt_logprobs=True)
FIELDS = {
    "components": {
        "schemas": {
            "ChatCompletionRequest": {"properties": {"messages": {}, "prompt_logprobs": {}}},
            "CompletionRequest": {"properties": {"prompt": {}, "prompt_logprobs": {}}},
        }
    }
}
OF_PROMPT = [None, {"7": {"logprob": -1.5, "rank": 3, "decoded_token": " cat"}, "9": {"logprob": -0.1, "rank": 1}}]
USAGE = {"prompt_tokens": 2, "completion_tokens": 1}


@pytest.fixture
async def vllm(server: Any) -> Any:
    server.reply("/v1/models", {"data": [{"id": "m", "owned_by": "vllm"}]})
    server.reply("/version", {"version": "0.32.0"})
    server.reply("/openapi.json", FIELDS)
    made = OpenAIBackend("m", server.url)
    await made.facts()
    yield made
    await made.aclose()


async def test_vllm_is_asked_and_its_own_token_is_read(server: Any, vllm: OpenAIBackend) -> None:
    choice = {"index": 0, "text": "x", "finish_reason": "length", "prompt_logprobs": OF_PROMPT}
    server.reply("/v1/completions", {"choices": [choice], "usage": USAGE})
    completion = await vllm.complete(READ, lambda delta: None)
    sent = server.calls("/v1/completions")[-1].json
    assert completion.prompt_logprobs == (None, -1.5)
    assert sent["prompt_logprobs"] == 0
    assert "stream" not in sent, "vLLM refuses it in a stream"
    chat = {"choices": [{"index": 0, "message": {"content": "x"}}], "usage": USAGE, "prompt_logprobs": OF_PROMPT}
    server.reply("/v1/chat/completions", chat)
    asked = msgspec.structs.replace(READ, prompt=None, messages=(Message("user", "a cat"),))
    assert (await vllm.complete(asked)).prompt_logprobs == (None, -1.5)


async def test_an_answer_without_them_is_an_error_that_keeps_its_tokens(server: Any, vllm: OpenAIBackend) -> None:
    server.reply("/v1/completions", {"choices": [{"index": 0, "text": "x"}], "usage": USAGE})
    with pytest.raises(BackendError, match="gave none") as caught:
        await vllm.complete(READ)
    assert caught.value.partial.usage.total == 3
    assert not caught.value.retryable


async def test_a_server_that_does_not_know_them_is_not_asked(server: Any) -> None:
    server.reply("/v1/models", {"data": [{"id": "m"}]})
    backend = OpenAIBackend("m", server.url)
    with pytest.raises(BadRequest, match="does not say how likely the tokens of a prompt are"):
        await backend.complete(READ)
    assert not server.calls("/v1/completions")
    await backend.aclose()


async def test_the_engine_gives_them(monkeypatch: pytest.MonkeyPatch) -> None:
    file = Path(__file__).with_name("vllm_stand_in.py")
    spec = importlib.util.spec_from_file_location("vllm_stand_in_of_logprobs", file)
    assert spec is not None
    assert spec.loader is not None
    stand_in = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = stand_in
    spec.loader.exec_module(stand_in)
    stand_in.put_in_place(monkeypatch)
    engine = VLLMEngineBackend("m")
    request = Request(model="m", messages=(Message("user", "one two three"),), max_tokens=1, prompt_logprobs=True)
    assert (await engine.complete(request, lambda delta: None)).prompt_logprobs == (None, -1.0, -1.5)
    await engine.aclose()


async def test_a_scripted_model_finds_rare_tokens_less_likely() -> None:
    backend = ScriptedBackend("x", model="m")
    common, rare = [
        (await backend.complete(msgspec.structs.replace(READ, prompt=text))).prompt_logprobs or ()
        for text in ("the the the", "zq zq zq")
    ]
    assert common[0] is None
    assert sum(common[1:]) / len(common[1:]) > sum(rare[1:]) / len(rare[1:])
    assert (await backend.complete(Request(model="m", prompt="a"))).prompt_logprobs is None


def test_keys_of_calls_that_do_not_ask_are_what_they_were() -> None:
    request = Request(model="m", messages=(Message("user", "hi"),), max_tokens=8)
    assert b"prompt_logprobs" not in msgspec.json.encode(request)
    assert request_key(request) == "ebddbc75ced9f3e639614336f5475141"
    assert request_key(msgspec.structs.replace(request, prompt_logprobs=True)) != request_key(request)
    said = Completion(text="x", usage=None, prompt_logprobs=(None, -1.5))  # type: ignore[arg-type]  # of no matter here
    assert msgspec.json.decode(msgspec.json.encode(said))["prompt_logprobs"] == [None, -1.5]
