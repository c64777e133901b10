"""What a vLLM server can is found out without a token, and what it would ignore is never sent."""

from __future__ import annotations

from typing import Any

import pytest

from laconic.backends.backend import ServerFacts
from laconic.backends.openai import OpenAIBackend
from laconic.backends.request import Message, Request
from laconic.backends.vllm_facts import read_fields, with_cache
from laconic.errors import BadRequest

CHAT = "/v1/chat/completions"
METRICS = (
    'vllm:cache_config_info{block_size="128",effective_attention_block_size="32",enable_prefix_caching="True",'
    'engine="0",num_gpu_blocks="364"} 1.0\n'
    'vllm:cache_config_info{block_size="128",effective_attention_block_size="32",enable_prefix_caching="True",'
    'engine="1",num_gpu_blocks="300"} 1.0\n'
)
FIELDS = {
    "components": {
        "schemas": {
            "ChatCompletionRequest": {"properties": {"messages": {}, "priority": {}, "chat_template_kwargs": {}}},
            "CompletionRequest": {
                "properties": {"prompt": {}, "priority": {}, "structured_outputs": {}, "thinking_token_budget": {}}
            },
        }
    }
}
TOO_MANY = {"error": {"message": "Requested sample logprobs of 1000000, which is greater than max allowed: 20"}}
ANSWER = {
    "choices": [{"index": 0, "message": {"content": "ok"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1},
}


def ask(**extra: Any) -> Request:
    return Request(model="m", messages=(Message("user", "hi"),), extra=extra)


@pytest.fixture
async def backend(server: Any) -> Any:
    server.reply("/v1/models", {"data": [{"id": "m", "owned_by": "vllm", "max_model_len": 64, "root": "org/m"}]})
    server.reply("/version", {"version": "0.33.0"})
    server.reply("/openapi.json", FIELDS)
    server.reply("/metrics", METRICS)
    server.reply("/v1/completions", TOO_MANY, status=400)
    server.reply(CHAT, ANSWER)
    made = OpenAIBackend("m", server.url)
    yield made
    await made.aclose()


async def test_the_cache_the_limits_and_the_fields_are_known(backend: OpenAIBackend) -> None:
    facts = await backend.facts()
    assert (facts.caches_prefixes, facts.block, facts.blocks) == (True, 32, 299), (
        "of two engines the smaller cache, less the block that is never used"
    )
    assert (facts.most_logprobs, facts.root, facts.metrics) == (20, "org/m", True)
    assert facts.knows("chat_template_kwargs") is True
    assert facts.knows("chat_template_kwargs", chat=False) is False
    assert facts.schedules_priorities is None, "it does not tell"


async def test_finding_out_asks_for_nothing_that_could_be_computed(server: Any, backend: OpenAIBackend) -> None:
    await backend.facts()
    bodies = [received.json for received in server.calls("/v1/completions")]
    assert len(bodies) == 2
    assert all(body["prompt"] == [2**31 - 1] for body in bodies)


@pytest.mark.parametrize(
    ("said", "limits"),
    [
        ("thinking_token_budget is set but reasoning_config is not configured.", False),
        ("Token id 2147483647 is out of vocabulary", True),
    ],
)
async def test_whether_thinking_can_be_limited(server: Any, backend: OpenAIBackend, said: str, limits: bool) -> None:
    server.reply("/v1/completions", {"error": {"message": said}}, status=400)
    assert (await backend.facts()).limits_thinking is limits


async def test_a_field_that_would_be_ignored_is_refused_before_anything_is_sent(
    server: Any, backend: OpenAIBackend
) -> None:
    with pytest.raises(BadRequest, match=r"vllm 0\.33\.0 .* has no field `guided_json`.*would ignore it"):
        await backend.complete(ask(guided_json={"type": "object"}))
    with pytest.raises(BadRequest, match="Did you mean `priority`"):
        await backend.complete(ask(priorities=1))
    assert not server.calls(CHAT)
    await backend.complete(ask(priority=1))
    assert server.calls(CHAT)[0].json["priority"] == 1


async def test_a_server_that_hides_its_description_is_taken_at_its_word(server: Any, backend: OpenAIBackend) -> None:
    server.reply("/openapi.json", {"detail": "Not Found"}, status=404)
    assert (await backend.facts()).knows("anything") is None
    await backend.complete(ask(anything=1))
    assert server.calls(CHAT)[0].json["anything"] == 1


async def test_thinking_is_limited_only_where_the_server_honours_it(server: Any, backend: OpenAIBackend) -> None:
    said = {"error": {"message": "thinking_token_budget is set but reasoning_config is not configured."}}
    server.reply("/v1/completions", said, status=400)
    with pytest.raises(BadRequest, match="--reasoning-parser"):
        await backend.complete(Request(model="m", prompt="x", extra={"thinking_token_budget": 5}))


async def test_a_server_without_a_chat_template_says_what_to_do(server: Any, backend: OpenAIBackend) -> None:
    said = "As of transformers v4.44, default chat template is no longer allowed, so you must provide a chat template"
    server.reply(CHAT, {"error": {"message": said}}, status=400)
    with pytest.raises(BadRequest, match="--chat-template"):
        await backend.complete(ask())


@pytest.mark.parametrize("description", [None, b"", b"[]", b"{}", b'{"components": {"schemas": 3}}', b"\xff"])
def test_a_description_that_is_none_says_nothing(description: bytes | None) -> None:
    assert read_fields(description) == (None, None)


def test_metrics_without_a_cache_say_nothing() -> None:
    facts = with_cache(ServerFacts(server="vllm"), "vllm:prompt_tokens_total 1\n")
    assert (facts.caches_prefixes, facts.block, facts.blocks) == (None, None, None)
