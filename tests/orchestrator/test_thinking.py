"""`thinking:` of a prompt: limits, thinking on, probes, bias, and whose tokens they are."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from laconic.backends import Completion, NoopBackend, Request, ScriptedBackend, TokenLogprob, Usage
from laconic.backends.backend import Count, ServerFacts
from laconic.backends.tokenizers import shipped
from laconic.errors import FlowError
from laconic.orchestrator import Flow, Result, Runtime
from laconic.orchestrator.shown import as_data

LONG = "One and one make two, and two and two make four, which is twice as much as two. " * 8
CLOSING = "\n</think>\n\nFinal Answer:"
Say = Callable[[str], str]


class Server(ScriptedBackend):
    """A scripted server that also knows what it is told it knows."""

    known: Mapping[str, Any] = MappingProxyType({})

    async def facts(self) -> ServerFacts:
        return msgspec.structs.replace(await super().facts(), **self.known)


def tokens(text: str) -> int:
    return len(shipped().encode(text))


def after(text: str) -> str:
    """What stands behind the last opening of the thinking in the prompt of a call."""
    return text.rpartition("<think>\n")[2]


def seen(request: Request) -> str:
    return shipped().decode(request.prompt_token_ids or ())


async def think(
    say: Say, thinking: dict[str, Any], known: dict[str, Any] | None = None, server: type[Server] = Server, **node: Any
) -> tuple[Result, list[Request]]:
    """One node that thinks, a prompt if nothing is said; `say` gets what a call's prompt says, and answers it."""
    backend = server(lambda request: say(seen(request)))
    backend.known = known or {}
    budget = node.pop("budget", None)
    asked = {} if "question" in node else {"kind": "prompt", "prompt": "2 + 2?"}
    flow = Flow(
        name="f",
        models={"large": {"backend": "scripted", "model": "script"}},
        nodes={"a": {**asked, "max_tokens": 20, "thinking": thinking, **node}},
        outputs={"a": "{{ a }}"},
        budget=budget,
    )
    async with Runtime(backends={"large": backend}) as runtime:
        result = await flow.run(runtime=runtime)
    await adds_up(result, backend)
    return result, backend.requests


async def adds_up(result: Result, backend: ScriptedBackend) -> None:
    """Every token that the server counts is in the ledger under a purpose."""
    counted = await backend.counters()
    by_purpose = result.ledger.by("purpose").values()
    assert sum(part.prompt or 0 for part in by_purpose) == counted.prompt
    assert sum(part.completion or 0 for part in by_purpose) == counted.generated


def generated(result: Result, purpose: str) -> int:
    return result.ledger.by("purpose")[purpose].completion or 0


async def test_thinking_that_ends_by_itself_is_respected() -> None:
    def say(text: str) -> str:
        return "4" if text.endswith("four.</think>") else "Two and two make four.</think> never shown"

    result, requests = await think(say, {"limit": 100})
    assert result.outputs == {"a": "4"}
    assert list(result.ledger.by("purpose")) == ["think", "answer"]
    assert [(request.max_tokens, request.stop) for request in requests] == [(100, ("</think>",)), (20, ())]
    assert seen(requests[0]).endswith("<|assistant|><think>\n")
    assert seen(requests[1]) == seen(requests[0]) + "Two and two make four.</think>"
    assert "it ended by itself" in result.explain()


async def test_thinking_is_cut_at_the_limit_and_closed() -> None:
    result, requests = await think(lambda text: " 4" if text.endswith(CLOSING) else LONG, {"limit": 30})
    assert result.outputs == {"a": "4"}
    assert generated(result, "think") == 30
    assert requests[1].prompt_token_ids[: len(requests[0].prompt_token_ids)] == requests[0].prompt_token_ids
    assert after(seen(requests[1])).removesuffix(CLOSING) == shipped().decode(shipped().encode(LONG)[:30])
    assert "cut off at the limit" in result.explain()


@pytest.mark.parametrize("kind", ["direct", "cot"])
@pytest.mark.parametrize(
    ("more", "calls"), [({}, ["think", "answer"]), ({"probes": {"every": 16}}, ["think", "probe"] * 2)]
)
async def test_a_short_answer_stands_behind_the_lead_in(kind: str, more: dict[str, Any], calls: list[str]) -> None:
    def say(text: str) -> str:
        return " 42\n\nThis is because 6 times 7 is 42." if text.endswith(CLOSING) else LONG

    result, _ = await think(say, {"limit": 60, **more}, kind=kind, question="6 * 7?")
    assert result.outputs == {"a": "42"}
    assert [call.purpose for call in result.ledger.calls] == calls


@pytest.mark.parametrize("kind", ["direct", "cot"])
async def test_an_answer_after_a_thought_that_ended_by_itself_has_no_lead_in(kind: str) -> None:
    def say(text: str) -> str:
        return "6 times 7.\n42." if text.endswith("</think>") else "Hm.</think>"

    result, _ = await think(say, {"limit": 60}, kind=kind, question="6 * 7?")
    assert result.outputs == {"a": "42"}


@pytest.mark.parametrize("every", [1, 2, 3])
async def test_a_mark_that_calls_cut_in_two_ends_the_thinking(every: int) -> None:
    whole, numbers = "Two and two make four.</think>4, of course.", iter(range(100))

    def say(text: str) -> str:
        thought = after(text)
        if thought.endswith(CLOSING):
            return f" {next(numbers)}"
        return "4" if thought.endswith("</think>") else whole.removeprefix(thought)

    result, requests = await think(say, {"limit": 40, "probes": {"every": every}})
    assert result.outputs == {"a": "4"}
    assert after(seen(requests[-1])) == "Two and two make four.</think>"
    assert "it ended by itself" in result.explain()


async def test_the_thinking_is_read_from_the_cache() -> None:
    result, _ = await think(lambda text: "4" if text.endswith(CLOSING) else LONG, {"limit": 64})
    thought, answer = result.ledger.calls
    assert (answer.usage.cache_read or 0) >= (thought.usage.prompt or 0) + 48


async def test_a_model_that_stops_early_goes_on() -> None:
    def say(text: str) -> str:
        thought = after(text)
        if thought.endswith("</think>"):
            return "5"
        return f"{thought.count('Wait')} waits.</think>"

    result, requests = await think(say, {"limit": 100, "at_least": 40, "times": 3})
    assert result.outputs == {"a": "5"}
    thought = "0 waits.\nWait1 waits.\nWait2 waits.\nWait3 waits."
    assert after(seen(requests[-1])) == f"{thought}</think>"
    assert [request.max_tokens for request in requests[:-1]] == sorted(
        (request.max_tokens or 0 for request in requests[:-1]), reverse=True
    )
    assert result.ledger.by("purpose")["think"].calls == 4
    assert generated(result, "think") <= 100


async def test_it_goes_on_only_until_it_has_thought_enough() -> None:
    result, requests = await think(
        lambda text: "4" if text.endswith("</think>") else "Two and two, that is four.</think>",
        {"limit": 100, "at_least": 20, "more": "However", "times": 9},
    )
    assert result.ledger.by("purpose")["think"].calls == 2
    assert after(seen(requests[1])) == "Two and two, that is four.\nHowever"


async def test_probes_that_agree_end_the_thinking() -> None:
    def say(text: str) -> str:
        if not text.endswith(CLOSING):
            return LONG
        return " 3." if tokens(after(text).removesuffix(CLOSING)) == 16 else " $4.00\nSince"

    result, requests = await think(say, {"limit": 200, "probes": {"every": 16, "agree": 2, "max_tokens": 24}})
    assert result.outputs == {"a": "$4.00\nSince"}
    assert [call.purpose for call in result.ledger.calls] == ["think", "probe"] * 3
    assert generated(result, "think") == 48
    assert {request.max_tokens for request in requests} == {16, 24}
    assert "thought for 48 of 200 tokens: 2 probes agreed" in result.explain()


async def test_an_answer_that_did_not_fit_in_a_probe_is_asked_for_again() -> None:
    answer = " 4, since one and one and one and one make four"
    result, requests = await think(
        lambda text: answer if text.endswith(CLOSING) else LONG,
        {"limit": 100, "probes": {"every": 16, "max_tokens": 5}},
    )
    assert result.outputs == {"a": answer.strip()}
    assert [call.purpose for call in result.ledger.calls] == ["think", "probe"] * 2 + ["answer"]
    assert requests[-1].prompt_token_ids == requests[-2].prompt_token_ids


async def test_probes_that_never_agree_do_not_end_it() -> None:
    numbers = iter(range(100))
    result, _ = await think(
        lambda text: f" {next(numbers)}" if text.endswith(CLOSING) else LONG, {"limit": 64, "probes": {"every": 16}}
    )
    assert [call.purpose for call in result.ledger.calls] == ["think", "probe"] * 3 + ["think", "answer"]
    assert result.outputs == {"a": "3"}


async def test_no_probe_ends_it_before_it_has_thought_enough() -> None:
    result, _ = await think(
        lambda text: " 4" if text.endswith(CLOSING) else LONG,
        {"limit": 100, "at_least": 40, "probes": {"every": 16}},
    )
    assert [request.purpose for request in result.ledger.calls] == ["think", "probe"] * 2
    assert generated(result, "think") == 64


async def test_objects_are_probed_and_answered() -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
    result, requests = await think(
        lambda text: ' {\n"n": 4\n}' if text.endswith(CLOSING) else LONG,
        {"limit": 100, "probes": {"every": 16}},
        schema=schema,
        seed=3,
    )
    assert result.outputs == {"a": {"n": 4}}
    assert [request.schema for request in requests] == [None, schema] * 2
    assert {request.seed for request in requests} == {3}


async def test_a_bias_is_sent_with_the_thinking_alone() -> None:
    known = {"completion_fields": frozenset({"logit_bias", "return_token_ids"})}
    _, requests = await think(
        lambda text: "4" if text.endswith("#") else "Hm.#",
        {"limit": 50, "bias": -2.5, "close": "#"},
        known,
    )
    (close,) = shipped().encode("#")
    assert [request.extra for request in requests] == [
        {"return_token_ids": True, "logit_bias": {str(close): -2.5}},
        {},
    ]


@pytest.mark.parametrize(
    ("close", "fields", "said"),
    [
        ("#", frozenset(), "does not know `logit_bias`"),
        ("</think>", frozenset({"logit_bias"}), r"its mark '</think>' is \d tokens"),
    ],
)
async def test_a_bias_that_cannot_be_is_refused(close: str, fields: frozenset[str], said: str) -> None:
    result, requests = await think(
        lambda text: "never", {"limit": 50, "bias": 1, "close": close}, {"completion_fields": fields}
    )
    assert result.status == "failed"
    assert not requests
    with pytest.raises(Exception, match=said):
        raise result.error  # type: ignore[misc]  # a failed run has one


async def test_a_server_that_limits_thinking_does_it_itself() -> None:
    backend = Server("4")
    backend.known = {"limits_thinking": True}
    node = {"kind": "prompt", "prompt": "2 + 2?", "max_tokens": 20, "thinking": {"limit": 30}}
    flow = Flow(name="f", models={"large": {"backend": "scripted", "model": "s"}}, nodes={"a": node})
    async with Runtime(backends={"large": backend}) as runtime:
        result = await flow.run(runtime=runtime)
    (request,) = backend.requests
    assert result.values["a"] == "4"
    assert request.messages is not None
    assert (request.max_tokens, request.extra) == (50, {"thinking_token_budget": 30})


async def test_more_than_a_limit_is_done_here_even_so() -> None:
    _, requests = await think(
        lambda text: "4" if text.endswith("</think>") else "Hm.</think>",
        {"limit": 30, "at_least": 2},
        {"limits_thinking": True},
    )
    assert all(request.messages is None and not request.extra for request in requests)


@pytest.mark.parametrize(
    ("asked", "one_call"),
    [({}, True), ({"stop": ["\n"]}, False), ({"budget": {"tokens": 150}}, False), ({"budget": {"tokens": 600}}, True)],
)
async def test_a_server_does_it_itself_where_the_answer_is_safe(asked: dict[str, Any], one_call: bool) -> None:
    def say(text: str) -> str:
        return "4" if not text or text.endswith(CLOSING) else LONG

    result, requests = await think(say, {"limit": 200}, {"limits_thinking": True}, **asked)
    assert (result.status, result.outputs) == ("ok", {"a": "4"})
    assert [request.messages is not None for request in requests] == ([True] if one_call else [False] * 2)
    assert requests[0].stop == (() if one_call else ("</think>",))
    assert requests[-1].stop == tuple(asked.get("stop", ()))


def of_probability(probability: float, text: str, finish: Any = "stop") -> Completion:
    """An answer of ten tokens, each of this probability."""
    logprobs = (TokenLogprob("x", math.log(probability)),) * 10
    return Completion(text=text, usage=Usage(20, 10, 0, 0, 0), finish_reason=finish, logprobs=logprobs)


@pytest.mark.parametrize("limits_thinking", [False, True])
@pytest.mark.parametrize(
    ("probes", "seen_by_the_check"),
    [(None, "0.90"), (["3", "4"], "0.90"), (["4", "4"], "0.30")],
)
async def test_a_cascade_looks_at_the_answer_and_not_at_the_thought(
    probes: list[str] | None, seen_by_the_check: str, limits_thinking: bool
) -> None:
    probed = iter(probes or ())

    def answer(request: Request) -> Completion:
        assert request.messages is None, "the logprobs of one call would be those of its thought as well"
        if request.stop == ("</think>",):
            assert request.logprobs is None
            return of_probability(0.1, "Two and two. ", "length")
        assert request.logprobs == 0
        return of_probability(0.3, next(probed)) if request.max_tokens == 7 else of_probability(0.9, "4")

    backend = Server(answer)
    backend.known = {"limits_thinking": limits_thinking}
    thinking = {"limit": 30, **({"probes": {"every": 10, "max_tokens": 7}} if probes else {})}
    asked = {"kind": "prompt", "prompt": "2 + 2?"}
    flow = Flow(
        name="f",
        models={"large": {"backend": "scripted", "model": "s"}, "dear": {"backend": "scripted", "model": "d"}},
        nodes={
            "cheap": {**asked, "max_tokens": 20, "thinking": thinking},
            "sure": {**asked, "model": "dear"},
            "a": {"kind": "cascade", "tiers": ["cheap", "sure"], "accept": {"kind": "logprob", "mean": 0.5}},
        },
    )
    async with Runtime(backends={"large": backend, "dear": ScriptedBackend("dear")}) as runtime:
        result = await flow.run(runtime=runtime)
    assert f"has tokens of probability {seen_by_the_check} on average" in result.explain()
    assert result.values["a"] == ("4" if seen_by_the_check == "0.90" else "dear")


async def test_a_template_that_opens_the_thinking_is_not_opened_twice() -> None:
    class Opens(Server):
        """Its chat template opens the thinking."""

        async def count(self, request: Request) -> Count:
            counted = await super().count(request)
            if request.messages is None or counted.ids is None:
                return counted
            ids = (*counted.ids, *shipped().encode("<think>\n"))
            return Count(len(ids), ids=ids)

    _, requests = await think(
        lambda text: "4" if text.endswith("</think>") else "Hm.</think>", {"limit": 30}, server=Opens
    )
    assert seen(requests[0]).count("<think>") == 1


async def test_an_end_of_the_whole_turn_is_answered_behind_a_lead_in() -> None:
    def say(text: str) -> str:
        return " 4" if text.endswith(CLOSING) else "" if text.endswith("</think>") else "It is four."

    result, requests = await think(say, {"limit": 30})
    assert result.outputs == {"a": "4"}
    assert [call.purpose for call in result.ledger.calls] == ["think", "answer", "answer"]
    assert after(seen(requests[2])) == f"It is four.{CLOSING}"


async def test_no_answer_is_an_error() -> None:
    result, _ = await think(lambda text: "" if text.endswith(CLOSING) else LONG, {"limit": 30})
    assert "thought, and then answered nothing" in str(result.error)


async def test_a_model_that_thinks_nothing_answers() -> None:
    result, _ = await think(lambda text: "4" if "</think>" in text else "", {"limit": 30, "at_least": 10})
    assert result.outputs == {"a": "4"}
    assert result.ledger.by("purpose")["think"].calls == 3


async def test_what_does_not_fit_in_the_context_is_refused_before_a_token_is_spent() -> None:
    result, requests = await think(lambda text: "never", {"limit": 5000})
    assert "its context is 4096" in str(result.error)
    assert not requests


async def test_the_lines_that_make_it_go_on_must_fit_in_the_context_too() -> None:
    def say(text: str) -> str:
        return "4" if text.endswith("</think>") else "Hm.</think>"

    thinking = {"limit": 60, "more": "Wait, let me look at that again. " * 5, "times": 3}
    fits, _ = await think(say, thinking, {"context": 200})
    assert fits.outputs == {"a": "4"}
    result, requests = await think(say, {**thinking, "at_least": 20}, {"context": 200})
    assert "its context is 200" in str(result.error)
    assert not requests


async def test_a_server_that_only_chats_is_refused() -> None:
    class Chats(NoopBackend):
        name = "openai"

    node = {"kind": "prompt", "prompt": "2 + 2?", "thinking": {"limit": 30}}
    flow = Flow(name="f", models={"large": {"backend": "scripted", "model": "s"}}, nodes={"a": node})
    backend = Chats()
    async with Runtime(backends={"large": backend}) as runtime:
        result = await flow.run(runtime=runtime)
    assert "neither limits thinking itself nor tells the tokens of a prompt" in str(result.error)
    assert backend.calls == 0


async def test_a_budget_leaves_room_for_the_answer() -> None:
    result, _ = await think(
        lambda text: " 4" if text.endswith(CLOSING) else LONG, {"limit": 200}, budget={"tokens": 150}
    )
    assert (result.status, result.outputs) == ("ok", {"a": "4"})
    assert 0 < generated(result, "think") < 100
    assert (result.ledger.total().total or 0) <= 150
    assert "the budget has room for no more" in result.explain()


async def test_where_a_budget_ends_it_the_latest_probe_stands() -> None:
    numbers = iter(range(100))
    result, _ = await think(
        lambda text: f" {next(numbers)}" if text.endswith(CLOSING) else LONG,
        {"limit": 200, "probes": {"every": 16}},
        budget={"calls": 4},
    )
    assert result.status == "budget"
    assert result.values["a"] == "1"


async def test_without_a_probe_a_budget_fails_the_node() -> None:
    result, _ = await think(lambda text: LONG, {"limit": 200}, budget={"calls": 1})
    assert result.status == "budget"
    assert result.values.get("a") is None


@pytest.mark.parametrize(
    ("thinking", "said"),
    [
        ({"limit": 10, "at_least": 11}, "`at_least` 11 is more than the `limit` of 10"),
        ({"limit": 10, "probes": {"every": 10}}, "come after the `limit` of 10"),
        ({"limit": 10, "open": "x", "close": "x"}, "the same mark"),
        ({"limit": 0}, "limit"),
        ({"at_least": 3}, "limit"),
        ({"limit": 10, "bias": 101}, "bias"),
        ({"limit": 10, "close": ""}, "close"),
        ({"limit": 10, "probes": {"every": 5, "agree": 1}}, "agree"),
        ({"limit": 10, "often": 3}, "often"),
    ],
)
def test_what_does_not_go_together_is_told_when_the_flow_is_loaded(thinking: dict[str, Any], said: str) -> None:
    with pytest.raises(FlowError, match=said):
        Flow(name="f", nodes={"a": {"kind": "prompt", "prompt": "x", "thinking": thinking}})


def test_it_is_written_as_it_was_read() -> None:
    thinking = {"limit": 100, "at_least": 10, "probes": {"every": 20}}
    flow = Flow(
        name="f",
        models={"large": {"backend": "scripted", "model": "s"}},
        nodes={"a": {"kind": "prompt", "prompt": "x", "thinking": thinking}},
    )
    assert "times" not in flow.dump()
    assert Flow.parse(flow.dump()) == flow


MARKS = ["</", "think", ">", "</think>", "<think>", "<|end|>", " ", "\n", "é", "🚲", "4", "."]
THOUGHTS = st.lists(st.sampled_from(MARKS) | st.text(max_size=6), max_size=8).map("".join)


@given(THOUGHTS, st.integers(1, 40))
async def test_whatever_is_thought_stands_before_the_answer(thought: str, limit: int) -> None:
    def say(text: str) -> str:
        return "4" if text.endswith((CLOSING, "</think>")) else f"{thought}</think>"

    result, (first, last) = await think(say, {"limit": limit})
    assert result.outputs == {"a": "4"}
    assert generated(result, "think") <= limit
    assert last.prompt_token_ids is not None
    behind = shipped().decode(last.prompt_token_ids[len(first.prompt_token_ids or ()) :])
    whole = f"{thought}</think>".partition("</think>")[0]
    cut = shipped().decode(shipped().encode(f"{thought}</think>")[:limit])
    assert behind in (f"{whole}</think>", f"{as_data(whole)}</think>", f"{cut}{CLOSING}")


@given(THOUGHTS, st.integers(1, 40), st.integers(0, 40), st.integers(1, 3), st.integers(1, 40))
async def test_thinking_always_ends_within_its_limit(
    thought: str, limit: int, at_least: int, times: int, every: int
) -> None:
    def say(text: str) -> str:
        return "4" if text.endswith((CLOSING, "</think>")) else f"{thought}</think>"

    probes = {"probes": {"every": every}} if every < limit else {}
    result, _ = await think(say, {"limit": limit, "at_least": min(at_least, limit), "times": times, **probes})
    assert result.outputs == {"a": "4"}
    assert generated(result, "think") <= limit
    if not probes:
        assert result.ledger.by("purpose")["think"].calls <= times + 1
