"""A model in this process: what it answers, how that is counted, and where it stops."""

from __future__ import annotations

import asyncio
import gc

import pytest

from laconic.backends.request import Message, Request
from laconic.backends.transformers import TransformersBackend
from laconic.errors import (
    BackendError,
    BackendTimeout,
    BadRequest,
    ContextTooLong,
    FlowError,
    ModelFileError,
    UnknownModel,
)

from .asking import IDS, asks, fails, held


async def test_an_answer_is_transformers_own_greedy_one(small, small_folder):
    import torch
    from transformers import AutoModelForCausalLM

    answer = await small.complete(asks())
    model = AutoModelForCausalLM.from_pretrained(small_folder, dtype=torch.float32)
    theirs = model.generate(torch.tensor([IDS]), max_new_tokens=12, do_sample=False)[0, len(IDS) :].tolist()
    assert list(answer.token_ids) == theirs
    assert (answer.usage.prompt, answer.usage.completion, answer.finish_reason) == (20, 12, "length")


async def test_a_call_that_goes_on_reads_only_what_is_new_and_says_the_same(small):
    whole = await small.complete(asks())
    part = await small.complete(asks(max_tokens=5))
    rest = await small.complete(asks(ids=IDS + part.token_ids, max_tokens=7))
    assert part.token_ids + rest.token_ids == whole.token_ids
    assert (whole.usage.cache_read, rest.usage.cache_read) == (0, 24)
    counters = await small.counters()
    assert counters.computed + counters.cached == 20 + 20 + 25
    assert counters.generated == 24


@pytest.mark.parametrize("drawn", [{"temperature": 1.0, "seed": 3}, {"temperature": 0.7, "top_p": 0.8, "seed": 3}])
async def test_sampling_does_not_depend_on_how_an_answer_is_divided_into_calls(small, drawn):
    whole = await small.complete(asks(**drawn))
    ids = IDS
    for most in (1, 4, 7):
        ids += (await small.complete(asks(ids=ids, max_tokens=most, **drawn))).token_ids
    assert ids == IDS + whole.token_ids
    assert whole.token_ids != (await small.complete(asks(**{**drawn, "seed": 4}))).token_ids


async def test_logprobs_are_of_the_chosen_token_and_the_likeliest_come_first(small):
    answer = await small.complete(asks(logprobs=5))
    for token in answer.logprobs:
        assert len(token.top) == 5
        assert token.top[0] == (token.token, token.logprob)
    scored = await small.complete(asks(ids=IDS + answer.token_ids, max_tokens=1, prompt_logprobs=True))
    told = [token.logprob for token in answer.logprobs]
    assert scored.prompt_logprobs[0] is None
    assert scored.prompt_logprobs[len(IDS) :] == pytest.approx(told, abs=1e-4)


async def test_a_stream_adds_up_and_a_stop_text_ends_it(small):
    told = []
    whole = await small.complete(asks(max_tokens=40), lambda delta: told.append(delta.text))
    assert "".join(told) == whole.text
    stop = whole.text[10:13]
    told.clear()
    stopped = await small.complete(asks(max_tokens=40, stop=(stop,)), lambda delta: told.append(delta.text))
    assert stopped.text == whole.text[: whole.text.index(stop)] == "".join(told)
    assert stopped.finish_reason == "stop"
    assert stopped.usage.completion < 40


async def test_what_might_have_begun_a_stop_text_is_streamed_in_the_end(small):
    told = []
    answer = await small.complete(asks(stop=("never said by anybody",)), lambda delta: told.append(delta.text))
    await asyncio.sleep(0)
    assert "".join(told) == answer.text != ""


async def test_a_failed_pass_is_told_and_spoils_no_later_answer(small, monkeypatch):
    whole = await small.complete(asks())
    part = await small.complete(asks(max_tokens=5))
    layer = small._weights.model.model.layers[1]
    with monkeypatch.context() as patch:
        patch.setattr(layer, "forward", fails)
        with pytest.raises(BackendError, match="out of memory"):
            await small.complete(asks(ids=IDS + part.token_ids, max_tokens=7))
    rest = await small.complete(asks(ids=IDS + part.token_ids, max_tokens=7))
    assert part.token_ids + rest.token_ids == whole.token_ids


async def test_a_call_that_is_cancelled_while_it_waits_costs_nothing(small):
    await small.start()
    with held(small):
        call = asyncio.create_task(small.complete(asks()))
        await asyncio.sleep(0)
        call.cancel()
        with pytest.raises(asyncio.CancelledError) as cancelled:
            await call
    usage = cancelled.value.partial.usage
    assert (usage.prompt, usage.completion) == (0, 0)
    assert (await small.complete(asks())).usage.cache_read == 0


@pytest.mark.parametrize("measure", ["entropy", "margin", "aleatoric", "random"])
async def test_a_call_ends_before_the_first_token_that_is_too_doubtful(small, measure):
    whole = await small.complete(asks(max_tokens=30))
    none = await small.complete(asks(max_tokens=30, extra={"until": {"measure": measure, "above": -1}}))
    assert (none.token_ids, none.usage.completion, none.finish_reason) == ((), 1, "cut")
    every = await small.complete(asks(max_tokens=30, extra={"until": {"measure": measure, "above": 1e9}}))
    assert every.token_ids == whole.token_ids


async def test_entropy_is_that_of_the_likeliest_tokens(small):
    import math

    answer = await small.complete(asks(max_tokens=20, logprobs=100))
    doubts = []
    for token in answer.logprobs:
        weights = [math.exp(logprob) for _, logprob in token.top]
        doubts.append(-sum(w / sum(weights) * math.log(w / sum(weights)) for w in weights))
    above = sorted(doubts)[-3] - 1e-3
    first = next(place for place, doubt in enumerate(doubts) if doubt > above)
    cut = await small.complete(asks(max_tokens=20, extra={"until": {"measure": "entropy", "above": above}}))
    assert cut.token_ids == answer.token_ids[:first]


async def test_a_bias_keeps_a_token_away(small):
    first = (await small.complete(asks())).token_ids[0]
    assert (await small.complete(asks(extra={"logit_bias": {first: -100}}))).token_ids[0] != first


async def test_a_chat_is_read_through_the_template_and_counted_alike(small):
    chat = Request(model="small", messages=(Message("user", "Hello"),), max_tokens=2)
    answer = await small.complete(chat)
    assert (await small.count(chat)).tokens == answer.usage.prompt == len(answer.prompt_token_ids)


async def test_what_was_said_before_it_was_stopped_is_not_lost(small_folder):
    backend = TransformersBackend(small_folder, name="small", timeout=0.0)
    await backend.start()
    with pytest.raises(BackendTimeout):
        await backend.complete(asks(max_tokens=400))
    first = asyncio.Event()
    slow = TransformersBackend(small_folder, name="small")
    call = asyncio.create_task(slow.complete(asks(max_tokens=400), lambda _: first.set()))
    await first.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError) as cancelled:
        await call
    assert 0 < cancelled.value.partial.usage.completion < 400
    said = cancelled.value.partial.token_ids
    again = await slow.complete(asks(max_tokens=1, ids=IDS + said))
    assert again.usage.cache_read == len(IDS) + len(said) - 1


async def test_layers_can_be_left_out_and_the_rest_is_shared(large, large_folder):
    fewer = TransformersBackend(large_folder, name="fewer", skip=(2, 3))
    await fewer.start()
    gc.collect()
    whole = await large.complete(asks("large"))
    less = await fewer.complete(asks("fewer"))
    assert less.token_ids != whole.token_ids
    assert (await large.complete(asks("large"))).token_ids == whole.token_ids
    assert (await fewer.facts()).parameters < (await large.facts()).parameters
    assert (await fewer.facts()).vocabulary == (await large.facts()).vocabulary
    assert fewer._weights.model.get_input_embeddings() is large._weights.model.get_input_embeddings()


@pytest.mark.parametrize(
    ("request_", "error", "words"),
    [
        (asks("other"), UnknownModel, "There is: small"),
        (asks(max_tokens=600), ContextTooLong, "512"),
        (asks(schema={"type": "object"}), BadRequest, "a `schema`"),
        (asks(extra={"min_p": 1}), BadRequest, "min_p"),
        (asks(extra={"until": {"measure": "mood", "above": 1}}), BadRequest, "its measures are entropy"),
        (asks(extra={"until": {"measure": "entropy"}}), BadRequest, "`above`"),
        (asks(extra={"logit_bias": {5000: 1}}), BadRequest, "0 to 1878"),
        (asks(ids=()), BadRequest, "at least one token"),
        (asks(ids=(5000,)), BadRequest, "from 0 to 1878"),
        (asks(max_tokens=0), BadRequest, "at least 1"),
        (asks(top_p=0.0), BadRequest, "`top_p`"),
        (asks(logprobs=101), BadRequest, "At most 100"),
        (asks(extra={"logit_bias": {1: float("nan")}}), BadRequest, "no number"),
    ],
)
async def test_what_cannot_be_asked_is_told_before_anything_is_computed(small, request_, error, words):
    with pytest.raises(error, match=words):
        await small.complete(request_)
    assert (await small.counters()).generated == 0


async def test_folders_devices_and_layers_that_there_are_not(tmp_path, small_folder):
    for backend, error, words in (
        (TransformersBackend(tmp_path), ModelFileError, "config.json"),
        (TransformersBackend(small_folder, dtype="float31"), FlowError, "float31"),
        (TransformersBackend(small_folder, device="nowhere"), BackendError, "nowhere"),
        (TransformersBackend(small_folder, skip=(0,)), FlowError, "1 to 1"),
    ):
        with pytest.raises(error, match=words):
            await backend.start()
    with pytest.raises(FlowError, match="at least 1"):
        TransformersBackend(small_folder, readings=0)


async def test_as_many_prompts_stay_read_as_it_is_told(small_folder):
    prompts = [tuple(range(100 + 20 * number, 115 + 20 * number)) for number in range(3)]
    for readings, kept in ((3, 14), (2, 0)):
        backend = TransformersBackend(small_folder, name="small", readings=readings)
        for prompt in prompts:
            await backend.complete(asks(ids=prompt, max_tokens=1))
        again = await backend.complete(asks(ids=prompts[0], max_tokens=1))
        assert again.usage.cache_read == kept
        await backend.aclose()


async def test_a_prompt_that_branches_off_leaves_the_other_as_it_was(small):
    first = await small.complete(asks(max_tokens=6))
    whole = (*IDS, *first.token_ids)
    alone = await small.complete(asks(ids=whole, max_tokens=4))
    branch = await small.complete(asks(ids=(*whole[:5], 400, 401), max_tokens=2))
    assert branch.usage.cache_read == 5
    again = await small.complete(asks(ids=whole, max_tokens=4))
    assert again.token_ids == alone.token_ids
    assert again.usage.cache_read == len(whole) - 1
