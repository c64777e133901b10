from __future__ import annotations

from typing import Any

import msgspec
import pytest

from laconic.backends import wire
from laconic.backends.request import Completion, Message, Request, TokenLogprob
from laconic.backends.streaming import whole
from laconic.backends.usage import Usage
from laconic.errors import BadRequest, MalformedAnswer

CHAT = (Message("user", "hi"),)
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}


def body(request: Request, **how: Any) -> dict[str, Any]:
    sent: dict[str, Any] = msgspec.json.decode(wire.encode(wire.fields(request, **how)))
    return sent


def test_nothing_is_sent_that_was_not_asked_for() -> None:
    chat = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "temperature": 0.0}
    assert body(Request(model="m", messages=CHAT)) == chat
    assert body(Request(model="m", messages=CHAT, sample=7)) == chat
    assert body(Request(model="m", prompt="a")) == {"model": "m", "prompt": "a", "temperature": 0.0}
    assert body(Request(model="m", prompt_token_ids=(1, 2))) == {"model": "m", "prompt": [1, 2], "temperature": 0.0}


def test_a_sender_is_named_and_kept_apart() -> None:
    request = Request(model="m", messages=(Message("user", "hi", "ann"),))
    assert body(request)["messages"] == [{"role": "user", "content": "hi", "name": "ann"}]


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        ({"max_tokens": 5}, {"max_tokens": 5}),
        ({"temperature": 0.7, "seed": 3, "top_p": 0.9}, {"temperature": 0.7, "seed": 3, "top_p": 0.9}),
        ({"stop": ("\n", "Q:")}, {"stop": ["\n", "Q:"]}),
        ({"logprobs": 3}, {"logprobs": True, "top_logprobs": 3}),
        ({"logprobs": 0}, {"logprobs": True, "top_logprobs": 1}),
        ({"extra": {"priority": -1, "temperature": None}}, {"priority": -1, "temperature": None}),
        (
            {"schema": SCHEMA},
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "answer", "schema": SCHEMA, "strict": True},
                }
            },
        ),
    ],
)
def test_what_was_asked_for_is_sent(asked: dict[str, Any], sent: dict[str, Any]) -> None:
    plain = body(Request(model="m", messages=CHAT))
    assert body(Request(model="m", messages=CHAT, **asked)) == plain | sent


def test_completions_ask_for_logprobs_by_number() -> None:
    assert body(Request(model="m", prompt="a", logprobs=2))["logprobs"] == 2


def test_llama_cpp_gets_the_schema_of_a_completion_where_it_looks_for_it() -> None:
    sent = body(Request(model="m", prompt="a", schema=SCHEMA), server="llama.cpp")
    assert sent["json_schema"] == SCHEMA
    assert "response_format" not in sent


@pytest.mark.parametrize(
    ("server", "more"),
    [
        ("other", {"stream_options": {"include_usage": True}}),
        ("vllm", {"stream_options": {"include_usage": True, "continuous_usage_stats": True}}),
        ("llama.cpp", {"stream_options": {"include_usage": True}, "timings_per_token": True}),
    ],
)
def test_a_stream_asks_for_its_usage(server: str, more: dict[str, Any]) -> None:
    request = Request(model="m", messages=CHAT)
    assert body(request, server=server, stream=True) == body(request) | {"stream": True} | more
    mine = Request(model="m", messages=CHAT, extra={"stream": False, "stream_options": {"include_obfuscation": False}})
    sent = body(mine, server=server, stream=True)
    assert sent["stream"] is True
    assert sent["stream_options"] == more["stream_options"] | {"include_obfuscation": False}


@pytest.mark.parametrize("extra", [{"n": 2}, {"best_of": 3}, {"use_beam_search": True}])
def test_several_answers_of_one_call_are_refused(extra: dict[str, Any]) -> None:
    with pytest.raises(BadRequest, match=f"several answers with `{next(iter(extra))}`.*told apart by `sample`"):
        body(Request(model="m", messages=CHAT, extra=extra))


def test_a_single_answer_may_be_asked_for_in_words() -> None:
    assert body(Request(model="m", messages=CHAT, extra={"n": 1, "use_beam_search": False}))["n"] == 1


def test_extra_cannot_turn_a_plain_call_into_a_stream() -> None:
    assert "stream" not in body(Request(model="m", messages=CHAT, extra={"stream": True}))


@pytest.mark.parametrize(("mine", "budgeted", "sent"), [(100, 20, 20), (100, None, 100), (10, 20, 10)])
def test_a_budget_holds_for_the_newer_name_of_max_tokens(mine: int, budgeted: int | None, sent: int) -> None:
    request = Request(model="m", messages=CHAT, max_tokens=budgeted, extra={"max_completion_tokens": mine})
    assert body(request)["max_completion_tokens"] == sent
    assert "max_tokens" not in body(request)


@pytest.mark.parametrize(
    ("reported", "usage"),
    [
        ({"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}, Usage(9, 4)),
        ({"prompt_tokens": 9, "completion_tokens": 4, "prompt_tokens_details": None}, Usage(9, 4)),
        ({"prompt_tokens": 9, "completion_tokens": 4, "prompt_tokens_details": {}}, Usage(9, 4)),
        ({"prompt_tokens": 9, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 0}}, Usage(9, 4, 0)),
        (
            {
                "prompt_tokens": 9,
                "completion_tokens": 4,
                "prompt_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 2, "audio_tokens": 0},
                "completion_tokens_details": {"reasoning_tokens": 1, "accepted_prediction_tokens": 0},
            },
            Usage(9, 4, 3, 2, 1),
        ),
        (
            {"prompt_tokens": 9, "completion_tokens": 4, "prompt_tokens_details": {"created_cache_tokens": 5}},
            Usage(9, 4, None, 5),
        ),
        ({"prompt_tokens": 9, "completion_tokens": 0, "completion_tokens_details": None}, Usage(9, 0)),
        ({"prompt_tokens": 9}, Usage(9, None)),
    ],
)
def test_usage_is_taken_over_and_what_is_not_said_is_unknown(reported: dict[str, Any], usage: Usage) -> None:
    answer = wire.decode(msgspec.json.encode({"choices": [], "usage": reported}), "url")
    assert wire.usage_of(answer) == usage


@pytest.mark.parametrize("reported", [None, {}])
def test_no_usage_is_none(reported: Any) -> None:
    assert wire.usage_of(wire.decode(msgspec.json.encode({"choices": [], "usage": reported}), "url")) is None


def test_running_totals_of_llama_cpp() -> None:
    chunk = {"choices": [], "timings": {"cache_n": 30, "prompt_n": 1, "predicted_n": 2, "prompt_ms": 1.5}}
    assert wire.usage_of(wire.decode(msgspec.json.encode(chunk), "url")) == Usage(31, 2, 30)


CHAT_LOGPROBS = {
    "content": [
        {
            "token": "a",
            "logprob": -0.5,
            "bytes": [97],
            "id": 64,
            "top_logprobs": [{"token": "b", "logprob": -3.0}, {"token": "a", "logprob": -0.5}],
        }
    ]
}
COMPLETION_LOGPROBS = {
    "tokens": ["a", "c"],
    "token_logprobs": [-0.5, -1.0],
    "top_logprobs": [{"b": -3.0, "a": -0.5}, None],
    "text_offset": [0, 1],
}


@pytest.mark.parametrize(
    ("choice", "alternatives", "expected"),
    [
        ({"message": {"content": "a"}, "logprobs": CHAT_LOGPROBS}, 1, (TokenLogprob("a", -0.5, 64, (("a", -0.5),)),)),
        ({"text": "a", "logprobs": CHAT_LOGPROBS}, 0, (TokenLogprob("a", -0.5, 64),)),
        (
            {"text": "ac", "logprobs": COMPLETION_LOGPROBS},
            2,
            (TokenLogprob("a", -0.5, None, (("a", -0.5), ("b", -3.0))), TokenLogprob("c", -1.0)),
        ),
        ({"text": "a", "logprobs": None}, 2, None),
    ],
)
def test_logprobs_of_both_protocols(choice: dict[str, Any], alternatives: int, expected: Any) -> None:
    answer = wire.decode(msgspec.json.encode({"choices": [choice]}), "url")
    completion = whole(answer, Usage(1, 1), started=0.0, alternatives=alternatives)
    assert completion.logprobs == expected


def test_bytes_are_kept_where_the_text_is_not_theirs() -> None:
    entries = [
        {"token": "", "logprob": -1.0, "id": 1, "bytes": [195]},
        {"token": "\ufffd", "logprob": -1.0, "id": 2, "bytes": [169]},
        {"token": "é", "logprob": -1.0, "id": 3, "bytes": [195, 169]},
        {"token": "", "logprob": -1.0, "id": 4, "bytes": []},
        {"token": "a", "logprob": -1.0, "id": 5, "bytes": None},
    ]
    answer = wire.decode(msgspec.json.encode({"choices": [{"text": "éé", "logprobs": {"content": entries}}]}), "url")
    completion = whole(answer, Usage(1, 5), started=0.0)
    assert [entry.raw for entry in completion.logprobs or ()] == [b"\xc3", b"\xa9", b"", b"", b""]
    assert msgspec.convert(msgspec.json.decode(msgspec.json.encode(completion)), Completion) == completion


def test_a_token_that_llama_cpp_did_not_show_is_known_by_its_alternatives() -> None:
    tops = [{"token": "\n", "logprob": -1.0, "id": 198, "bytes": [10]}, {"token": "x", "logprob": -2.0, "id": 1}]
    content = {"content": [{"token": ".", "logprob": -1.0, "id": 198, "bytes": [46], "top_logprobs": tops}]}
    answer = wire.decode(msgspec.json.encode({"choices": [{"text": "", "logprobs": content}]}), "url")
    assert whole(answer, Usage(1, 1), started=0.0).logprobs == (TokenLogprob("\n", -1.0, 198),)


def test_token_ids_and_reasoning_where_vllm_puts_them() -> None:
    chat = {
        "model": "m",
        "prompt_token_ids": [1, 2],
        "choices": [{"message": {"content": "x", "reasoning": "hm"}, "token_ids": [3], "finish_reason": "stop"}],
    }
    completion = whole(wire.decode(msgspec.json.encode(chat), "url"), Usage(2, 1), started=0.0)
    assert (completion.prompt_token_ids, completion.token_ids, completion.reasoning) == ((1, 2), (3,), "hm")
    text = {"choices": [{"text": "x", "prompt_token_ids": [1, 2], "token_ids": [3], "finish_reason": "length"}]}
    completion = whole(wire.decode(msgspec.json.encode(text), "url"), Usage(2, 1), started=0.0)
    assert (completion.prompt_token_ids, completion.token_ids, completion.finish_reason) == ((1, 2), (3,), "length")


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("stop", "stop"),
        ("length", "length"),
        ("tool_calls", "tool_calls"),
        ("function_call", "tool_calls"),
        ("content_filter", "content_filter"),
        ("abort", "cut"),
        ("something new", "unknown"),
        (None, "unknown"),
    ],
)
def test_finish_reasons(theirs: str | None, ours: str) -> None:
    assert wire.finish_reason(theirs) == ours


@pytest.mark.parametrize("data", [b"", b"<html>", b"[1]", b'{"choices": 3}', b'{"choices": [{"text": "\xff"}]}'])
def test_what_is_no_answer_is_malformed_and_shown(data: bytes) -> None:
    with pytest.raises(MalformedAnswer, match="http://x/v1"):
        wire.decode(data, "http://x/v1")
