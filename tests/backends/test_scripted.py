from __future__ import annotations

import asyncio
import re
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from laconic.backends.backend import Backend, Counters
from laconic.backends.request import Completion, Message, Request
from laconic.backends.scripted import CutStream, Latency, NoopBackend, ScriptedBackend
from laconic.backends.tokenizers import shipped
from laconic.backends.usage import Usage
from laconic.errors import BadRequest, ContextTooLong, RateLimited, ServerFailure, StreamCut


def ask(text: str = "What is the capital of France?", **fields: Any) -> Request:
    return Request(model="scripted", messages=(Message("user", text),), **fields)


def tokens(text: str) -> int:
    return len(shipped().encode(text))


@pytest.mark.parametrize("backend", [ScriptedBackend("x"), NoopBackend()])
def test_is_a_backend(backend: Backend) -> None:
    assert isinstance(backend, Backend)


async def test_answers_by_text_function_coroutine_and_completion() -> None:
    async def later(request: Request) -> str:
        await asyncio.sleep(0)
        return "later"

    whole = Completion(text="as it is", usage=Usage(5, None, None, None, None, "server"), finish_reason="stop")
    assert (await ScriptedBackend("always").complete(ask())).text == "always"
    assert (await ScriptedBackend(lambda r: r.messages[0].content.upper()).complete(ask("hi"))).text == "HI"
    assert (await ScriptedBackend(later).complete(ask())).text == "later"
    assert await ScriptedBackend(lambda request: whole).complete(ask()) == whole


async def test_rules_match_the_last_message_and_the_first_that_is_found_answers() -> None:
    backend = ScriptedBackend([(r"capital of (\w+)", "Paris"), ("capital", "never"), ("(?i)SUM", lambda r: "4")])
    assert (await backend.complete(ask())).text == "Paris"
    assert (await backend.complete(ask("the sum of 2 and 2"))).text == "4"
    chat = Request(model="m", messages=(Message("user", "capital of France"), Message("user", "weather")))
    with pytest.raises(BadRequest, match=re.escape("No rule of the scripted model 'scripted' matches")):
        await backend.complete(chat)
    assert (await backend.complete(Request(model="m", prompt="sum"))).text == "4"
    ids = tuple(shipped().encode("capital of Peru"))
    assert (await backend.complete(Request(model="m", prompt_token_ids=ids))).text == "Paris"


async def test_an_empty_answer_of_a_rule_is_an_answer() -> None:
    completion = await ScriptedBackend([("capital", "")]).complete(ask())
    assert (completion.text, completion.usage.completion, completion.finish_reason) == ("", 0, "stop")


async def test_usage_is_exact_and_count_foretells_it() -> None:
    backend = ScriptedBackend("The answer is Zürich.")
    request = Request(model="m", messages=(Message("system", "Be brief."), Message("user", "Where?", name="Ann")))
    completion = await backend.complete(request)
    expected = 2 + tokens("Be brief.") + 2 + tokens("Ann: Where?") + 1
    assert completion.usage == Usage(expected, tokens("The answer is Zürich."), 0, 0, 0, "server")
    assert (await backend.count(request)).tokens == expected
    assert (await backend.count(request)).source == "counted"
    assert completion.prompt_token_ids is not None
    assert len(completion.prompt_token_ids) == expected
    assert shipped().decode(completion.token_ids or ()) == "The answer is Zürich."


async def test_prefixes_are_cached_in_full_blocks_and_never_whole() -> None:
    backend = ScriptedBackend("ok", block=4)
    prompts = [tuple(range(10, 18)), tuple(range(10, 18)), (*range(10, 15), 99, 98, 97, 96), tuple(range(50, 58))]
    cached = [
        (await backend.complete(Request(model="m", prompt_token_ids=ids, max_tokens=1))).usage.cache_read
        for ids in prompts
    ]
    assert cached == [0, 4, 4, 0]  # of an equal prompt of 8 only one block: a token must be left to compute
    assert await backend.counters() == Counters(computed=8 + 4 + 5 + 8, cached=8, generated=4)


async def test_a_conversation_finds_its_own_answer_cached() -> None:
    backend = ScriptedBackend("one two three four five six seven eight nine ten", block=2)
    first = await backend.complete(Request(model="m", prompt_token_ids=(5, 6, 7, 8)))
    assert first.token_ids is not None
    following = (5, 6, 7, 8, *first.token_ids, 9)
    second = await backend.complete(Request(model="m", prompt_token_ids=following))
    known = 4 + len(first.token_ids) - 1  # nothing was computed upon the last token
    assert second.usage.cache_read == known // 2 * 2


async def test_without_a_cache_nothing_is_read_from_it() -> None:
    backend = ScriptedBackend("ok", cache=False)
    for _ in range(2):
        completion = await backend.complete(ask("long enough " * 40))
    assert completion.usage.cache_read == 0


async def test_max_tokens_cuts_the_answer() -> None:
    completion = await ScriptedBackend("one two three four").complete(ask(max_tokens=2))
    assert (completion.text, completion.finish_reason, completion.usage.completion) == ("one two", "length", 2)
    exact = await ScriptedBackend("one two").complete(ask(max_tokens=2))
    assert (exact.text, exact.finish_reason) == ("one two", "stop")


async def test_a_stop_string_is_generated_but_not_shown() -> None:
    completion = await ScriptedBackend("Paris\nObservation: none").complete(ask(stop=("Observation", "\n")))
    assert (completion.text, completion.finish_reason) == ("Paris", "stop")
    assert completion.usage.completion == tokens("Paris\n")
    pieces: list[str] = []
    streamed = await ScriptedBackend("Paris\nObservation: none").complete(
        ask(stop=("Observation", "\n")), lambda delta: pieces.append(delta.text)
    )
    assert streamed.usage.completion == completion.usage.completion
    assert "".join(pieces) == streamed.text == "Paris"


@given(st.text(max_size=40), st.integers(1, 30), st.lists(st.text(min_size=1, max_size=3), max_size=2))
def test_streams_show_what_the_whole_answer_shows(text: str, most: int, stops: list[str]) -> None:
    async def check() -> None:
        request = ask(max_tokens=most, stop=tuple(stops))
        pieces: list[str] = []
        whole = await ScriptedBackend(text).complete(request)
        streamed = await ScriptedBackend(text).complete(request, lambda delta: pieces.append(delta.text))
        assert "".join(pieces) == streamed.text == whole.text
        assert (streamed.usage, streamed.finish_reason) == (whole.usage, whole.finish_reason)
        assert text.startswith(whole.text)
        assert not any(stop in whole.text for stop in stops)

    asyncio.run(check())


async def test_context_is_a_limit() -> None:
    backend = ScriptedBackend("word " * 100, context=40)
    assert (await backend.complete(ask("hi"))).usage.total == 40
    with pytest.raises(ContextTooLong, match="the context of 'scripted' is 40 tokens"):
        await backend.complete(ask("hi", max_tokens=50))
    before = await backend.counters()
    with pytest.raises(ContextTooLong):
        await backend.complete(ask("hi " * 100))
    assert await backend.counters() == before


async def test_failures_come_in_their_turn_and_only_some_spend() -> None:
    backend = ScriptedBackend("ok", failures=[RateLimited("wait", retry_after=1), None, ServerFailure("500")])
    with pytest.raises(RateLimited):
        await backend.complete(ask())
    assert await backend.counters() == Counters(0, 0, 0)
    done = await backend.complete(ask())
    with pytest.raises(ServerFailure):
        await backend.complete(ask())
    assert (await backend.complete(ask())).text == "ok"
    counters = await backend.counters()
    assert counters.prompt == 3 * (done.usage.prompt or 0)
    assert counters.generated == 2
    assert len(backend.requests) == 4


async def test_failures_by_the_number_of_the_call() -> None:
    backend = ScriptedBackend("ok", failures=lambda number: ServerFailure("even") if number % 2 == 0 else None)
    assert (await backend.complete(ask())).text == "ok"
    with pytest.raises(ServerFailure):
        await backend.complete(ask())


async def test_what_an_answer_function_raises_costs_what_its_kind_costs() -> None:
    def refuse(request: Request) -> str:
        raise BadRequest("no")

    async def refuse_later(request: Request) -> str:
        raise RateLimited("later")

    for answer, kind in ((refuse, BadRequest), (refuse_later, RateLimited)):
        backend = ScriptedBackend(answer)
        with pytest.raises(kind):
            await backend.complete(ask())
        assert await backend.counters() == Counters(0, 0, 0)


async def test_a_cut_stream_carries_what_arrived() -> None:
    backend = ScriptedBackend("one two three four", failures=[CutStream(2), CutStream(99), CutStream(1)])
    pieces: list[str] = []
    with pytest.raises(StreamCut) as cut:
        await backend.complete(ask(), lambda delta: pieces.append(delta.text))
    partial = cut.value.partial
    assert (partial.text, partial.usage.completion, partial.usage.source) == ("one two", 2, "counted")
    assert (partial.finish_reason, "".join(pieces)) == ("cut", "one two")
    with pytest.raises(StreamCut) as at_end:  # the whole text, but no end mark
        await backend.complete(ask(), pieces.append)
    assert at_end.value.partial.text == "one two three four"
    with pytest.raises(StreamCut) as unseen:
        await backend.complete(ask())
    assert unseen.value.partial is None


async def test_a_cancelled_stream_carries_what_arrived_and_the_server_knows_it() -> None:
    backend = ScriptedBackend("one two three four")
    task: asyncio.Task[Completion]
    shown: list[str] = []

    def stop_at_two(delta: Any) -> None:
        shown.append(delta.text)
        if len(shown) == 2:
            task.cancel()

    task = asyncio.create_task(backend.complete(ask(), stop_at_two))
    with pytest.raises(asyncio.CancelledError) as cancelled:
        await task
    partial = cancelled.value.partial  # type: ignore[attr-defined]  # the contract of Backend
    assert (partial.text, partial.usage.completion) == ("one two", 2)
    counters = await backend.counters()
    assert (counters.prompt, counters.generated) == (partial.usage.prompt, 2)


async def test_a_cancelled_answer_that_was_not_streamed_is_of_unknown_length() -> None:
    asked = asyncio.Event()

    async def never(request: Request) -> str:
        asked.set()
        return await asyncio.Future()

    backend = ScriptedBackend(never)
    task = asyncio.create_task(backend.complete(ask()))
    await asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError) as cancelled:
        await task
    partial = cancelled.value.partial  # type: ignore[attr-defined]  # the contract of Backend
    assert partial.usage.completion is None
    assert partial.usage.prompt == (await backend.counters()).prompt > 0


async def test_usage_and_counters_agree_however_many_run_at_once() -> None:
    backend = ScriptedBackend(lambda r: "word " * len(r.messages[0].content), block=4)
    before = await backend.counters()
    done = await asyncio.gather(*(backend.complete(ask("shared beginning " * 5 + "x" * n)) for n in range(20)))
    change = (await backend.counters()).since(before)
    assert change.prompt == sum(c.usage.prompt or 0 for c in done)
    assert change.cached == sum(c.usage.cache_read or 0 for c in done) > 0
    assert change.generated == sum(c.usage.completion or 0 for c in done)


async def test_latency_is_asked_for_computed_and_generated_tokens() -> None:
    seen: list[tuple[int, int]] = []

    def latency(computed: int, generated: int) -> float:
        seen.append((computed, generated))
        return 0.0

    backend = ScriptedBackend("one two three", latency=latency, block=4)
    completion = await backend.complete(ask())
    assert seen == [(completion.usage.prompt, 3)]
    await backend.complete(ask())
    assert seen[1][0] < seen[0][0]  # cached tokens take no time
    assert Latency(prompt=0.5, generated=2)(4, 3) == 8


async def test_equal_calls_give_equal_answers() -> None:
    async def run() -> list[Completion]:
        backend = ScriptedBackend(lambda r: r.messages[0].content[::-1], block=8)
        done = [await backend.complete(ask("abc def ghi " * n, logprobs=1)) for n in range(1, 5)]
        return [msgspec.structs.replace(completion, seconds=0.0) for completion in done]

    assert await run() == await run()


async def test_logprobs_are_those_of_a_model_that_is_certain() -> None:
    backend = ScriptedBackend("Yes it is")
    completion = await backend.complete(ask(logprobs=2))
    assert completion.logprobs is not None
    assert "".join(token.token for token in completion.logprobs) == "Yes it is"
    assert completion.logprobs[0].top == (("Yes", 0.0),) or completion.logprobs[0].logprob == 0.0
    assert (await backend.complete(ask())).logprobs is None


async def test_the_noop_model_counts_its_calls() -> None:
    backend = NoopBackend("fine", usage=Usage(10, 2, 4, 0, 0))
    pieces: list[str] = []
    for _ in range(3):
        completion = await backend.complete(ask(), lambda delta: pieces.append(delta.text))
    assert completion.text == "fine"
    assert pieces == ["fine"] * 3
    assert await backend.counters() == Counters(computed=18, cached=12, generated=6)
    assert (await backend.count(ask())).tokens == 10


async def test_facts_say_what_it_can() -> None:
    facts = await ScriptedBackend("x", model="tiny", context=99).facts()
    assert (facts.server, facts.models, facts.context, facts.tokenizes, facts.metrics) == (
        "scripted",
        ("tiny",),
        99,
        True,
        True,
    )
