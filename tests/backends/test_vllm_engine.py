"""`VLLMEngineBackend` over a stand-in for vLLM."""

from __future__ import annotations

import asyncio
import gc
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from laconic.backends.opening import open_backend
from laconic.backends.request import Delta, Message, Request
from laconic.backends.usage import Usage
from laconic.backends.vllm_engine import VLLMEngineBackend
from laconic.errors import (
    BackendError,
    BackendTimeout,
    BadRequest,
    ContextTooLong,
    FlowError,
    ServerFailure,
    UnknownModel,
)


def _stand_in() -> ModuleType:
    file = Path(__file__).with_name("vllm_stand_in.py")
    spec = importlib.util.spec_from_file_location("vllm_stand_in", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


STAND_IN = _stand_in()
HI = Request(model="m", messages=(Message("user", "one two three"),), max_tokens=4)


@pytest.fixture
def engines(monkeypatch: pytest.MonkeyPatch) -> Any:
    return STAND_IN.put_in_place(monkeypatch)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Engines that generate two tokens of an answer and then wait."""
    return STAND_IN.put_in_place(monkeypatch, tokens=2)


async def until_two_came(engine: Any, *, requests: int = 1) -> None:
    async with asyncio.timeout(10):
        while sum(len(running.ids) == 2 for running in engine.requests.values()) < requests:  # noqa: ASYNC110  # a stand-in has no event for it
            await asyncio.sleep(0)


async def test_answers_with_ids_usage_and_finish(engines: Any) -> None:
    backend = VLLMEngineBackend("m")
    completion = await backend.complete(HI)
    assert completion.text == "w100 w101 w102 w103 "
    assert completion.token_ids == (100, 101, 102, 103)
    assert completion.prompt_token_ids == (1, 2, 3)
    assert completion.usage == Usage(3, 4, 1, 0, None, "server")
    assert (completion.finish_reason, completion.model) == ("length", "m")
    assert completion.first_token_seconds is None
    assert await backend.counters() is not None
    await backend.aclose()


async def test_streams_in_pieces(engines: Any) -> None:
    backend = VLLMEngineBackend("m")
    deltas: list[Delta] = []
    completion = await backend.complete(HI, deltas.append)
    assert [delta.text for delta in deltas] == ["w100 ", "w101 ", "w102 ", "w103 "]
    assert completion.text == "w100 w101 w102 w103 "
    assert completion.usage == Usage(3, 4, 1, 0, None, "server")
    assert completion.first_token_seconds is not None
    await backend.aclose()


async def test_the_engine_is_asked_for_what_the_request_says(engines: Any) -> None:
    backend = VLLMEngineBackend("m", options={"scheduling_policy": "priority"})
    extra = {"priority": 3, "min_tokens": 2, "allowed_token_ids": [5]}
    request = Request(
        model="m", prompt="a b", max_tokens=4, temperature=0.5, top_p=0.9, seed=7, stop=("x",), extra=extra
    )
    await backend.complete(request)
    await backend.complete(Request(model="m", prompt_token_ids=(8, 9)))
    first, second = engines.made[0].requests.values()
    sampling = first.sampling
    assert (sampling.temperature, sampling.top_p, sampling.seed, sampling.stop) == (0.5, 0.9, 7, ["x"])
    assert (sampling.max_tokens, sampling.min_tokens, sampling.allowed_token_ids) == (4, 2, [5])
    assert first.priority == 3
    assert second.prompt == [8, 9]
    assert second.sampling.max_tokens == STAND_IN.CONTEXT - 2
    await backend.aclose()


async def test_logprobs_are_as_many_as_asked_and_likeliest_first(engines: Any) -> None:
    backend = VLLMEngineBackend("m")
    for wanted, top in ((0, ()), (1, (("seven", -1.0),)), (2, (("seven", -1.0), ("w100", -2.0)))):
        completion = await backend.complete(Request(model="m", prompt="a", max_tokens=1, logprobs=wanted))
        assert completion.logprobs is not None
        (entry,) = completion.logprobs
        assert (entry.token, entry.id, entry.logprob, entry.top) == ("w100", 100, -2.0, top)
    await backend.aclose()


async def test_counts_what_the_answer_reports(engines: Any) -> None:
    backend = VLLMEngineBackend("m")
    assert (await backend.count(HI)).tokens == (await backend.complete(HI)).usage.prompt
    assert (await backend.count(Request(model="m", prompt_token_ids=(1, 2)))).tokens == 2
    await backend.aclose()


@pytest.mark.parametrize(
    ("request_", "kind", "told"),
    [
        (Request(model="other", prompt="a"), UnknownModel, "no model 'other'. It has: m"),
        (Request(model="m", prompt="a", extra={"min_token": 1}), BadRequest, r"`min_token`.*Did you mean `min_tokens`"),
        (Request(model="m", prompt="a", extra={"n": 2}), BadRequest, "has no field `n`"),
        (Request(model="m", prompt="a", extra={"user": "me"}), BadRequest, "has no field `user`"),
        (Request(model="m", prompt="a", extra={"priority": 1}), BadRequest, "scheduling_policy: priority"),
        (Request(model="m", prompt="a", temperature=-1), BadRequest, "must be non-negative"),
        (Request(model="m", prompt="a", extra={"min_tokens": "x"}), BadRequest, "min_tokens: "),
        (Request(model="m", prompt="a " * 32), ContextTooLong, "longer `context`"),
        (Request(model="m", messages=(Message("user", "no template"),)), BadRequest, "has no chat template"),
    ],
)
async def test_what_cannot_be_asked_is_refused(
    engines: Any, request_: Request, kind: type[BackendError], told: str
) -> None:
    backend = VLLMEngineBackend("m")
    with pytest.raises(kind, match=told) as refused:
        await backend.complete(request_)
    assert refused.value.spent_nothing
    assert engines.made[0].requests == {}
    await backend.aclose()


@pytest.mark.parametrize("stream", [False, True])
async def test_a_cancelled_request_is_aborted_and_counted(slow: Any, stream: bool) -> None:
    backend = VLLMEngineBackend("m")
    await backend.start()
    deltas: list[Delta] = []
    call = asyncio.create_task(backend.complete(HI, deltas.append if stream else None))
    await until_two_came(slow.made[0])
    call.cancel()
    with pytest.raises(asyncio.CancelledError) as cancelled:
        await call
    partial = cancelled.value.partial  # type: ignore[attr-defined]  # see Backend
    assert partial.token_ids == (100, 101)
    assert partial.usage == Usage(3, 2, 1, 0, None, "counted")
    assert partial.finish_reason == "cut"
    assert slow.made[0].aborted == ["0"]
    counters = await backend.counters()
    assert counters is not None
    assert (counters.prompt, counters.cached, counters.generated) == (3, 1, 2)
    await backend.aclose()


async def test_a_request_that_has_generated_nothing_has_no_partial(monkeypatch: pytest.MonkeyPatch) -> None:
    engines = STAND_IN.put_in_place(monkeypatch, tokens=0)
    backend = VLLMEngineBackend("m", timeout=0.05)
    with pytest.raises(BackendTimeout, match=r"within the 0\.05 s allowed") as late:
        await backend.complete(HI)
    assert late.value.partial is None
    assert engines.made[0].aborted == ["0"]
    await backend.aclose()


async def test_a_late_answer_is_kept_as_far_as_it_came(slow: Any) -> None:
    backend = VLLMEngineBackend("m", timeout=0.05)
    with pytest.raises(BackendTimeout) as late:
        await backend.complete(HI)
    assert late.value.partial.usage == Usage(3, 2, 1, 0, None, "counted")
    await backend.aclose()


async def test_a_dead_engine_fails_all_that_wait_and_the_next_call_starts_another(slow: Any) -> None:
    backend = VLLMEngineBackend("m")
    await backend.start()
    calls = [asyncio.create_task(backend.complete(HI, lambda delta: None)) for _ in range(3)]
    await until_two_came(slow.made[0], requests=3)
    slow.made[0].die()
    failures = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(failure, ServerFailure) and "has ended" in str(failure) for failure in failures)
    assert {failure.partial.usage.completion for failure in failures if isinstance(failure, ServerFailure)} == {2}
    slow.tokens = 1000
    assert (await backend.complete(HI)).usage.completion == 4
    assert [engine.ended for engine in slow.made] == [1, 0]
    counters = await backend.counters()
    assert counters is not None
    assert counters.generated == 3 * 2 + 4
    await backend.aclose()


async def test_closing_breaks_off_and_ends_the_engine_once(slow: Any) -> None:
    backend = VLLMEngineBackend("m")
    await backend.start()
    call = asyncio.create_task(backend.complete(HI))
    await until_two_came(slow.made[0])
    await backend.aclose()
    with pytest.raises(ServerFailure, match="closed while it was answering") as failed:
        await call
    assert failed.value.partial.usage.completion == 2
    await backend.aclose()
    assert slow.made[0].ended == 1
    assert len(slow.made[0].waited) == 1, "its process may still hold the memory"
    with pytest.raises(BackendError, match="was closed"):
        await backend.complete(HI)


async def test_an_engine_that_nobody_closes_ends_with_its_owner(engines: Any) -> None:
    backend = VLLMEngineBackend("m")
    await backend.complete(HI)
    del backend
    gc.collect()
    assert engines.made[0].ended == 1


async def test_whoever_waits_may_be_cancelled_and_one_engine_is_loaded_for_all(engines: Any) -> None:
    backend = VLLMEngineBackend("m")
    impatient = asyncio.create_task(backend.start())
    patient = asyncio.create_task(backend.complete(HI))
    await asyncio.sleep(0)
    impatient.cancel()
    assert (await patient).usage.completion == 4
    assert len(engines.made) == 1
    await backend.aclose()


async def test_facts_are_the_engines(engines: Any) -> None:
    backend = VLLMEngineBackend("/models/m", name="m", context=20, memory=0.5)
    facts = await backend.facts()
    assert (facts.server, facts.version, facts.models, facts.context) == ("vllm", "0.32.0", ("m", "/models/m"), 20)
    assert (facts.tokenizes, facts.metrics, facts.reports_cached) == (True, True, True)
    assert (facts.caches_prefixes, facts.block, facts.blocks, facts.most_logprobs) == (True, 4, 8, 5)
    assert facts.knows("chat_template_kwargs")
    assert facts.knows("chat_template_kwargs", chat=False) is False
    args = engines.made[0].args
    assert (args.model, args.max_model_len, args.gpu_memory_utilization) == ("/models/m", 20, 0.5)
    await backend.aclose()


async def test_what_stands_in_the_way_of_loading_is_told(engines: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    engines.failing = ValueError("No available memory for the cache blocks.")
    with pytest.raises(BackendError, match=r"for want of memory: No available memory .* Lower the model's `context`"):
        await VLLMEngineBackend("m").start()
    engines.failing = OSError("nowhere is not a folder")
    with pytest.raises(BackendError, match="cannot load 'm': nowhere is not a folder"):
        await VLLMEngineBackend("m").start()
    STAND_IN.put_in_place(monkeypatch, device="")
    with pytest.raises(BackendError, match=r"no device .* `backend: local`"):
        await VLLMEngineBackend("m").start()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(BackendError, match=r'pip install "laconic\[vllm\]"'):
        await VLLMEngineBackend("m").start()


async def test_wrong_options_are_named(engines: Any) -> None:
    with pytest.raises(FlowError, match=r"no option 'enforce_eagre'\. Did you mean enforce_eager\?"):
        await open_backend("vllm-engine", "m", options={"enforce_eagre": True})
    with pytest.raises(FlowError, match="above 0 and at most 1, not 8"):
        await open_backend("vllm-engine", "m", options={"memory": 8})
    with pytest.raises(FlowError, match="`memory` of the model 'm'"):
        await open_backend("vllm-engine", "m", options={"memory": "8 GB"})
    with pytest.raises(FlowError, match="at least 1 token"):
        VLLMEngineBackend("m", context=0)


async def test_a_flow_opens_it(engines: Any) -> None:
    backend = await open_backend("vllm-engine", "m", context=16, timeout=3, options={"memory": 0.4})
    assert isinstance(backend, VLLMEngineBackend)
    assert (backend.name, backend.model, backend.timeout) == ("vllm-engine", "m", 3)
    assert engines.made[0].args.gpu_memory_utilization == 0.4
    await backend.aclose()


def test_another_event_loop_is_told(engines: Any) -> None:
    backend = VLLMEngineBackend("m")
    asyncio.run(backend.start())
    with pytest.raises(BackendError, match="another event loop"):
        asyncio.run(backend.complete(HI))
