from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from laconic.backends.backend import Backend, Count, Counters
from laconic.backends.facts import read_facts, serves
from laconic.backends.openai import OpenAIBackend
from laconic.backends.request import Message, Request
from laconic.backends.usage import UNKNOWN, Usage
from laconic.errors import BadRequest, TokenizerUnavailable, UnknownModel

CHAT = "/v1/chat/completions"
HI = Request(model="m", messages=(Message("user", "hi"),), max_tokens=4)
ANSWER = {
    "model": "m-0724",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Zoë ✓"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 9, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 3}},
}
LLAMA_META = {"n_ctx": 512, "n_params": 7, "n_vocab": 9}
LLAMA_MODELS = {"data": [{"id": "m", "aliases": ["tiny"], "owned_by": "llamacpp", "meta": LLAMA_META}]}
VLLM_MODELS = {"data": [{"id": "m", "owned_by": "vllm", "max_model_len": 4096}]}


class Words:
    """A tokenizer whose tokens are words."""

    name = "words"

    def encode(self, text: str) -> list[int]:
        return [len(word) for word in text.split()]

    def decode(self, ids: Any) -> str:
        return " ".join("x" * n for n in ids)

    def count_request(self, request: Request) -> Count:
        if request.messages is None:
            raise TokenizerUnavailable("no text")
        return Count(sum(len(self.encode(message.content)) for message in request.messages))


@pytest.fixture
async def backend(server: Any) -> AsyncIterator[OpenAIBackend]:
    made = OpenAIBackend("m", server.url, key="secret-key")
    yield made
    await made.aclose()


def llama(server: Any) -> None:
    server.reply("/v1/models", LLAMA_MODELS)
    server.reply(
        "/props", {"default_generation_settings": {"n_ctx": 2048}, "build_info": "b1", "endpoint_metrics": True}
    )


def vllm(server: Any) -> None:
    server.reply("/v1/models", VLLM_MODELS)
    server.reply("/version", {"version": "0.33.0"})
    server.reply("/metrics", "vllm:prompt_tokens_total 0")


def test_is_a_backend() -> None:
    assert isinstance(OpenAIBackend("m", "http://127.0.0.1:1/v1"), Backend)


async def test_a_chat_call(server: Any, backend: OpenAIBackend) -> None:
    server.reply(CHAT, ANSWER)
    completion = await backend.complete(HI)
    assert completion.text == "Zoë ✓"
    assert completion.usage == Usage(9, 4, 3)
    assert (completion.finish_reason, completion.model) == ("stop", "m-0724")
    assert completion.seconds > 0
    (sent,) = server.calls(CHAT)
    assert sent.json == {
        "model": "m",
        "messages": [{"role": "user", "content": "hi"}],
        "max_tokens": 4,
        "temperature": 0.0,
    }
    assert sent.headers["authorization"] == "Bearer secret-key"


async def test_a_completion_from_token_ids(server: Any, backend: OpenAIBackend) -> None:
    server.reply(
        "/v1/completions",
        {"choices": [{"text": "x", "finish_reason": "length"}], "usage": {"prompt_tokens": 2, "completion_tokens": 1}},
    )
    completion = await backend.complete(Request(model="m", prompt_token_ids=(5, 6)))
    assert (completion.text, completion.finish_reason, completion.usage) == ("x", "length", Usage(2, 1))
    assert server.calls("/v1/completions")[0].json["prompt"] == [5, 6]


async def test_the_key_is_shown_nowhere(server: Any, backend: OpenAIBackend) -> None:
    server.reply(CHAT, {"error": {"message": "no"}}, status=401)
    with pytest.raises(BadRequest, match="key_env") as refused:
        await backend.complete(HI)
    assert "secret-key" not in f"{backend!r} {refused.value!r} {refused.value}"


async def test_256_calls_at_once_are_really_at_once(server: Any, backend: OpenAIBackend) -> None:
    together = asyncio.Barrier(256)

    async def when_all_are_there(_: Any, writer: asyncio.StreamWriter) -> None:
        await together.wait()
        writer.write(b'HTTP/1.1 200 OK\r\ncontent-length: 31\r\n\r\n{"choices": [{"text": "yes"}]}\n')

    server.handlers["/v1/completions"] = when_all_are_there
    request = Request(model="m", prompt_token_ids=(1,))
    answers = await asyncio.gather(*(backend.complete(request) for _ in range(256)))
    assert {answer.text for answer in answers} == {"yes"}
    assert server.most_at_once == 256
    assert len(server.calls("/v1/models")) == 1, "the server was asked once what it is"


async def test_connections_are_used_again(server: Any, backend: OpenAIBackend) -> None:
    server.reply(CHAT, ANSWER)
    server.stream("/v1/completions", b'data: {"choices": [{"text": "x"}]}\n\n', b"data: [DONE]\n\n")
    for _ in range(5):
        await backend.complete(HI)
        await backend.complete(Request(model="m", prompt="x"), lambda _: None)
    assert server.connections <= 3, "three questions about the server went out at once; no more were needed"


async def test_without_usage_the_tokenizer_counts(server: Any) -> None:
    server.reply(CHAT, {"choices": [{"message": {"content": "three words here"}}]})
    backend = OpenAIBackend("m", server.url, tokenizer=Words())
    usage = (await backend.complete(HI)).usage
    assert usage == Usage(1, 3, None, None, None, "counted")
    await backend.aclose()


async def test_without_usage_and_tokenizer_nothing_is_invented(server: Any, backend: OpenAIBackend) -> None:
    server.reply(CHAT, {"choices": [{"message": {"content": "three words here"}}]})
    assert (await backend.complete(HI)).usage == UNKNOWN


async def test_without_usage_logprobs_count(server: Any, backend: OpenAIBackend) -> None:
    entries = [{"token": "a", "logprob": -1.0}, {"token": "b", "logprob": -2.0}]
    server.reply(CHAT, {"choices": [{"message": {"content": "ab"}, "logprobs": {"content": entries}}]})
    assert (await backend.complete(HI)).usage == Usage(None, 2, None, None, None, "counted")


async def test_an_estimated_prompt_makes_an_estimated_usage(server: Any) -> None:
    server.reply(CHAT, {"choices": [{"message": {"content": "x"}, "token_ids": [7]}]})
    backend = OpenAIBackend("m", server.url, estimate=True)
    usage = (await backend.complete(HI)).usage
    assert (usage.completion, usage.source) == (1, "estimated")
    await backend.aclose()


@pytest.mark.parametrize("kind", [llama, vllm])
async def test_local_servers_bill_no_cache_writes(server: Any, backend: OpenAIBackend, kind: Any) -> None:
    kind(server)
    server.reply(CHAT, ANSWER)
    assert (await backend.complete(HI)).usage == Usage(9, 4, 3, 0)
    written = {"cached_tokens": 0, "created_cache_tokens": 8}
    server.reply(
        CHAT, ANSWER | {"usage": {"prompt_tokens": 9, "completion_tokens": 4, "prompt_tokens_details": written}}
    )
    usage = (await backend.complete(HI)).usage
    assert usage == Usage(9, 4, 0, 0)
    assert usage.uncached == 9, "all of the prompt was computed"


async def test_a_vllm_that_reports_cached_tokens_leaves_out_only_zeros(server: Any, backend: OpenAIBackend) -> None:
    vllm(server)
    silent = ANSWER | {"usage": {"prompt_tokens": 9, "completion_tokens": 4, "prompt_tokens_details": None}}
    server.reply(CHAT, silent)
    assert (await backend.complete(HI)).usage.cache_read is None
    server.reply(CHAT, ANSWER)
    assert (await backend.complete(HI)).usage.cache_read == 3
    server.reply(CHAT, silent)
    assert (await backend.complete(HI)).usage.cache_read == 0


class TestCount:
    async def test_llama_cpp_renders_the_whole_call_and_tokenizes_it(self, server: Any, backend: OpenAIBackend) -> None:
        llama(server)
        server.reply("/apply-template", {"prompt": "<s>hi</s>"})
        server.reply("/tokenize", {"tokens": [1, 2, 3]})
        request = Request(model="m", messages=HI.messages, extra={"tools": [{"type": "function"}]})
        assert await backend.count(request) == Count(3, ids=(1, 2, 3))
        assert server.calls("/apply-template")[0].json["tools"] == [{"type": "function"}]
        sent = server.calls("/tokenize")[0].json
        assert (sent["content"], sent["add_special"], sent["parse_special"]) == ("<s>hi</s>", True, True)

    @pytest.mark.parametrize("said", [llama, vllm])
    async def test_a_text_amid_a_prompt_begins_none(self, server: Any, backend: OpenAIBackend, said: Any) -> None:
        said(server)
        server.reply("/tokenize", {"count": 2, "tokens": [7, 8]})
        amid = Request(model="m", prompt="</think>", extra={"add_special_tokens": False})
        assert await backend.count(amid) == Count(2, ids=(7, 8))
        sent = server.calls("/tokenize")[0].json
        assert sent.get("add_special", sent.get("add_special_tokens")) is False
        assert sent.get("parse_special", True) is True

    async def test_a_text_that_is_no_prompt_gets_nothing_added(self, server: Any, backend: OpenAIBackend) -> None:
        llama(server)
        server.reply("/tokenize", {"tokens": [7, 8]})
        text = Request(model="m", prompt="</s>", extra={"add_special_tokens": False, "parse_special": False})
        assert (await backend.count(text)).ids == (7, 8)
        sent = server.calls("/tokenize")[0].json
        assert (sent["content"], sent["add_special"], sent["parse_special"]) == ("</s>", False, False)

    async def test_vllm_counts_messages_and_prompts(self, server: Any, backend: OpenAIBackend) -> None:
        vllm(server)
        server.reply("/tokenize", {"count": 12, "max_model_len": 4096, "tokens": [0] * 12})
        kwargs = {"enable_thinking": False}
        request = Request(
            model="m", messages=HI.messages, extra={"chat_template_kwargs": kwargs, "priority": 1}, temperature=1.0
        )
        assert await backend.count(request) == Count(12, ids=(0,) * 12)
        assert (await backend.count(Request(model="m", prompt="hi"))).tokens == 12
        messages, prompt = (call.json for call in server.calls("/tokenize"))
        assert messages == {
            "model": "m",
            "messages": [{"role": "user", "content": "hi"}],
            "chat_template_kwargs": kwargs,
        }
        assert prompt == {"model": "m", "prompt": "hi"}

    async def test_token_ids_need_no_server(self) -> None:
        backend = OpenAIBackend("m", "http://127.0.0.1:1/v1")
        assert await backend.count(Request(model="m", prompt_token_ids=(1, 2, 3))) == Count(3, ids=(1, 2, 3))

    async def test_elsewhere_the_given_tokenizer_counts(self, server: Any) -> None:
        backend = OpenAIBackend("m", server.url, tokenizer=Words())
        assert await backend.count(HI) == Count(1)
        with pytest.raises(TokenizerUnavailable, match="no text"):
            await backend.count(Request(model="m", prompt="x"))
        await backend.aclose()

    async def test_without_any_way_the_ways_out_are_named(self, server: Any, backend: OpenAIBackend) -> None:
        with pytest.raises(TokenizerUnavailable, match=r"tokenizer.*estimate: true"):
            await backend.count(HI)

    async def test_an_estimate_is_an_upper_bound_and_says_that_it_is_one(self, server: Any) -> None:
        backend = OpenAIBackend("m", server.url, estimate=True)
        text = "Zoë ✓ " * 10
        count = await backend.count(Request(model="m", messages=(Message("user", text),)))
        assert count.source == "estimated"
        assert count.tokens >= len(text.encode())
        await backend.aclose()


class TestFacts:
    async def test_llama_cpp(self, server: Any, backend: OpenAIBackend) -> None:
        llama(server)
        facts = await backend.facts()
        assert (facts.server, facts.version, facts.models, facts.context) == ("llama.cpp", "b1", ("m", "tiny"), 2048)
        assert (facts.tokenizes, facts.metrics, facts.reports_cached, facts.parameters) == (True, True, True, 7)
        assert facts.vocabulary_size == 9

    async def test_vllm(self, server: Any, backend: OpenAIBackend) -> None:
        vllm(server)
        facts = await backend.facts()
        assert (facts.server, facts.version, facts.models, facts.context) == ("vllm", "0.33.0", ("m",), 4096)
        assert (facts.tokenizes, facts.metrics, facts.reports_cached) == (True, True, None)

    async def test_anything_else_is_asked_for_nothing_special(self, server: Any, backend: OpenAIBackend) -> None:
        server.reply("/v1/models", "<html>")
        server.reply("/props", "[]")
        server.reply("/version", {"version": "0.5.1"})
        facts = await backend.facts()
        assert (facts.server, facts.tokenizes, facts.metrics, facts.context) == ("other", False, False, None)

    def test_behind_a_proxy_that_passes_only_v1(self) -> None:
        import msgspec

        facts = read_facts("m", msgspec.json.encode(VLLM_MODELS), None, None)
        assert (facts.server, facts.tokenizes, facts.metrics) == ("vllm", False, False)
        facts = read_facts("m", msgspec.json.encode(LLAMA_MODELS), None, None)
        assert (facts.server, facts.tokenizes, facts.metrics, facts.context) == ("llama.cpp", False, False, 512)

    async def test_a_server_that_is_not_ready_is_asked_again(self, server: Any, backend: OpenAIBackend) -> None:
        from laconic.errors import ServerFailure

        server.reply("/v1/models", {"error": {"code": 503, "message": "Loading model"}}, status=503)
        with pytest.raises(ServerFailure, match="Loading model"):
            await backend.facts()
        llama(server)
        assert (await backend.facts()).server == "llama.cpp"

    def test_llama_cpp_knows_its_model_by_file_name_too(self) -> None:
        import msgspec

        models = {"data": [{"id": "/models/tiny-q4.gguf", "owned_by": "llamacpp"}]}
        facts = read_facts("tiny-q4", msgspec.json.encode(models), None, None)
        assert [serves(facts, name) for name in ("/models/tiny-q4.gguf", "tiny-q4.gguf", "tiny-q4", "tiny")] == [
            True,
            True,
            True,
            False,
        ]

    @pytest.mark.parametrize("ask", ["complete", "count"])
    async def test_llama_cpp_may_not_answer_for_a_model_it_does_not_have(
        self, server: Any, backend: OpenAIBackend, ask: str
    ) -> None:
        llama(server)
        server.reply(CHAT, ANSWER)
        with pytest.raises(UnknownModel, match=r"'gpt-x'.*m, tiny"):
            await getattr(backend, ask)(Request(model="gpt-x", messages=HI.messages))
        assert not server.calls(CHAT)


class TestCounters:
    async def test_of_llama_cpp(self, server: Any, backend: OpenAIBackend) -> None:
        llama(server)
        text = (
            "llamacpp:prompt_tokens_total 7\nllamacpp:prompt_tokens_cached_total 2\nllamacpp:tokens_predicted_total 3\n"
        )
        server.reply("/metrics", text)
        assert await backend.counters() == Counters(7, 2, 3)

    async def test_none_where_there_are_none(self, server: Any, backend: OpenAIBackend) -> None:
        vllm(server)
        assert await backend.counters() is None
        other = OpenAIBackend("m", server.url.replace("/v1", "/elsewhere/v1"))
        assert await other.counters() is None
        await other.aclose()
