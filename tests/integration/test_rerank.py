"""Listwise ranking with SmolLM2 on the real llama.cpp and the real vLLM."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from laconic import Flow, Runtime
from laconic.accounting import Audit
from laconic.accounting.reconciliation import Reconciliation
from laconic.backends import Backend, LocalBackend, Message, OpenAIBackend, Request
from laconic.orchestrator import Result
from laconic.orchestrator.one_token import what_is_asked

pytestmark = pytest.mark.integration

PLACES = ("harbour", "river", "bridge", "tower", "market", "chapel", "mill", "garden", "tunnel", "station", "well")
TEXTS = [f"The {place} was built in {1500 + 17 * number}." for number, place in enumerate((*PLACES, "theatre"))]


@pytest.fixture
async def llama_cpp(small_model: str) -> AsyncIterator[Backend]:
    made = LocalBackend(small_model, context=1024, slots=2)
    yield made
    await made.aclose()


@pytest.fixture
async def on_vllm(vllm: Any) -> AsyncIterator[Backend]:
    made = OpenAIBackend(vllm.name, vllm.url, key=vllm.key, name="vllm")
    yield made
    await made.aclose()


async def ranked(backend: Backend, candidates: Sequence[str], **options: Any) -> tuple[Result, Reconciliation]:
    """The candidates as one node ranks them, and its calls held against the server's counters."""
    await backend.facts()  # so that it is there when its counters are read
    best = {"kind": "rerank", "query": "When was the tower built?", "candidates": "{{ found }}", **options}
    flow = Flow(
        name="ranked",
        inputs={"found": "list"},
        models={"large": {"backend": "scripted", "model": backend.model}},
        nodes={"best": best},
        outputs={"best": "{{ best }}"},
    )
    async with Runtime(backends={"large": backend}) as runtime, Audit(runtime.ledger, [backend]) as audit:
        result = await flow.run(found=list(candidates), runtime=runtime)
    assert result.error is None, result.error
    assert audit.unprovable == {}
    (proof,) = audit.proofs.values()
    return result, proof


async def check_windows(backend: Backend) -> None:
    """Two windows in two orders each: every call one token, in the ledger as in the server's counters."""
    result, proof = await ranked(backend, TEXTS, window=8, step=4, permutations=2)
    assert sorted(result.outputs["best"]) == sorted(TEXTS)
    assert result.outputs["best"] != TEXTS
    calls = result.ledger.calls
    assert [call.node for call in calls] == [f"best/window-{number}" for number in (1, 1, 2, 2)]
    assert {(call.purpose, call.usage.completion) for call in calls} == {("rank", 1)}
    assert proof.closed, proof.explain()
    assert proof.ledger.completion == 4


async def test_windows_on_llama_cpp(llama_cpp: Backend) -> None:
    await check_windows(llama_cpp)


async def test_windows_on_vllm(on_vllm: Backend) -> None:
    await check_windows(on_vllm)


async def test_vllm_tells_as_many_letters_apart_as_it_gives_logprobs(on_vllm: Backend) -> None:
    texts = [f"{text} Nobody knows by whom." for text in TEXTS] + TEXTS
    result, proof = await ranked(on_vllm, texts, window=26, step=13)
    assert sorted(result.outputs["best"]) == sorted(texts)
    (remark,) = [note for record in result.nodes for note in record.notes or ()]
    assert remark.startswith("windows of 20 passages, not 26: ")
    assert proof.closed, proof.explain()


async def test_vllm_reports_the_logprobs_of_the_letters_and_no_others(on_vllm: Backend) -> None:
    how = what_is_asked(await on_vllm.facts(), 20)
    request = Request(model=on_vllm.model, messages=(Message("user", "Which one?"),), max_tokens=1, **how)
    completion = await on_vllm.complete(request)
    assert completion.logprobs is not None
    assert sorted(token for token, _ in completion.logprobs[0].top) == list("ABCDEFGHIJKLMNOPQRST")
