"""Passes: answers that are written at one time share them, and none can tell from its own that they did."""

from __future__ import annotations

import asyncio

import pytest

from laconic.backends.transformers import TransformersBackend, passes
from laconic.errors import BackendError

from .asking import IDS, asks, fails, held


async def test_calls_at_one_time_each_go_on_where_they_stood(small):
    starts = [(*IDS, 100 + number) for number in range(12)]
    whole = [await small.complete(asks(ids=start)) for start in starts]
    first = await asyncio.gather(*(small.complete(asks(ids=start, max_tokens=4)) for start in starts))
    rests = await asyncio.gather(
        *(
            small.complete(asks(ids=start + said.token_ids, max_tokens=8))
            for start, said in zip(starts, first, strict=True)
        )
    )
    for alone, said, rest in zip(whole, first, rests, strict=True):
        assert said.token_ids + rest.token_ids == alone.token_ids
        assert rest.usage.cache_read == len(IDS) + 4


async def together(backend, requests):
    with held(backend):
        calls = [asyncio.create_task(backend.complete(request)) for request in requests]
        await asyncio.sleep(0)
    return await asyncio.gather(*calls, return_exceptions=True)


async def test_calls_at_one_time_share_passes_and_say_what_each_says_alone(small):
    requests = [
        asks(ids=(*IDS, 100 + number)[number % 3 :], max_tokens=3 + number, temperature=number % 2, seed=number)
        for number in range(12)
    ]
    requests.append(asks(max_tokens=2, prompt_logprobs=True))
    alone = [await small.complete(request) for request in requests]
    passes = []
    small._readings.clear()
    hook = small._weights.model.register_forward_hook(lambda *_: passes.append(1))
    shared = await together(small, requests)
    hook.remove()
    assert [answer.token_ids for answer in shared] == [answer.token_ids for answer in alone]
    assert [answer.usage.completion for answer in shared] == [answer.usage.completion for answer in alone]
    assert shared[-1].prompt_logprobs[1:] == pytest.approx(alone[-1].prompt_logprobs[1:], abs=1e-4)
    assert len(passes) == max(len(answer.token_ids) for answer in alone)


async def test_answers_of_two_models_of_the_same_weights_do_not_share_a_pass(large, large_folder):
    fewer = TransformersBackend(large_folder, name="fewer", skip=(2, 3))
    await fewer.start()
    alone = [await large.complete(asks("large")), await fewer.complete(asks("fewer"))]
    await large.start()
    with held(large):
        calls = [asyncio.create_task(backend.complete(asks(backend.model))) for backend in (large, fewer)]
        await asyncio.sleep(0)
    assert [answer.token_ids for answer in await asyncio.gather(*calls)] == [answer.token_ids for answer in alone]


async def test_a_model_that_forgets_reads_each_answer_by_itself(forgetful):
    requests = [asks(ids=(*IDS, 100 + number), max_tokens=6) for number in range(3)]
    alone = [await forgetful.complete(request) for request in requests]
    shared = await together(forgetful, requests)
    assert [answer.token_ids for answer in shared] == [answer.token_ids for answer in alone]


async def test_a_pass_that_has_no_room_for_all_is_computed_one_by_one(small, monkeypatch):
    requests = [asks(ids=(*IDS, 100 + number), max_tokens=4) for number in range(3)]
    alone = [await small.complete(request) for request in requests]
    layer = small._weights.model.model.layers[-1]
    whole = layer.forward

    def forward(hidden, **rest):
        return whole(hidden, **rest) if hidden.shape[1] <= len(IDS) + 1 else fails()

    small._readings.clear()
    with monkeypatch.context() as patch:
        patch.setattr(layer, "forward", forward)
        shared = await together(small, requests)
    assert [answer.token_ids for answer in shared] == [answer.token_ids for answer in alone]


async def test_a_pass_that_fails_at_its_very_end_is_read_once_more_and_not_twice(small, monkeypatch):
    requests = [asks(ids=(*IDS, 100 + number), max_tokens=4) for number in range(3)]
    alone = [await small.complete(request) for request in requests]
    small._readings.clear()
    each, failed = passes._each, []

    def fails_once(wanted, logits, hidden):
        if len(wanted) > 1 and not failed:
            failed.append(len(wanted))
            raise RuntimeError("out of memory")
        return each(wanted, logits, hidden)

    monkeypatch.setattr(passes, "_each", fails_once)
    shared = await together(small, requests)
    assert failed == [3]
    assert [answer.token_ids for answer in shared] == [answer.token_ids for answer in alone]
    assert all(len(reading.ids) == reading.kept.length for reading in small._readings._kept)


async def test_a_failed_pass_is_told_to_all_who_shared_it(small, monkeypatch):
    await small.start()
    with monkeypatch.context() as patch:
        patch.setattr(small._weights.model.model.layers[1], "forward", fails)
        results = await together(small, [asks(max_tokens=2), asks(ids=IDS[:2], max_tokens=2)])
    assert [type(result) for result in results] == [BackendError, BackendError]
    assert (await small.complete(asks(max_tokens=2))).usage.completion == 2
