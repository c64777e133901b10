"""Two models on one answer, and thinking within a budget, on the real vLLM: seams, and the server's own count."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from laconic.backends import OpenAIBackend, VLLMServer
from laconic.backends.local import LocalBackend
from laconic.backends.settled import settled_counters
from laconic.orchestrator import Flow, Result
from laconic.routers import Routed

pytestmark = pytest.mark.integration

PROMPT = "Name three large rivers of Europe, each in a sentence of its own."
MODELS = {role: {"backend": "vllm", "model": role} for role in ("small", "large")}


@pytest.fixture
async def backend(vllm: VLLMServer) -> AsyncIterator[OpenAIBackend]:
    made = OpenAIBackend(vllm.name, vllm.url, key=vllm.key, name="vllm")
    yield made
    await made.aclose()


async def write(small: Any, large: Any, **fields: Any) -> Result:
    node = {"kind": "step_route", "prompt": PROMPT, "step": "sentence", "by": "random", "max_tokens": 60, **fields}
    flow = Flow(name="two", models=MODELS, nodes={"answer": node}, outputs={"answer": "{{ answer }}"})
    result = await flow.run(backends={"small": small, "large": large})
    return result.raise_for_status()


async def test_a_model_that_goes_on_with_itself_says_what_it_says_alone(backend: OpenAIBackend) -> None:
    before = await settled_counters(backend)
    alone = await write(backend, backend, above=float("inf"))
    turns = await write(backend, backend, above=0.5)
    after = await settled_counters(backend)
    answer = turns.outputs["answer"]
    assert isinstance(answer, Routed)
    assert {span.by for span in answer.spans} == {"small", "large"}
    assert answer == alone.outputs["answer"]
    assert before is not None
    assert after is not None
    moved, totals = after.counters.since(before.counters), [alone.ledger.total(), turns.ledger.total()]
    assert moved.prompt == sum(total.prompt for total in totals)
    assert moved.cached == sum(total.cache_read for total in totals)
    assert moved.generated == sum(total.completion for total in totals)


async def test_a_model_of_another_server_finishes_its_steps(backend: OpenAIBackend, small_model: str) -> None:
    other = LocalBackend(small_model, context=512, slots=1)
    try:
        result = await write(backend, other, above=0.5, on_doubt="rewrite")
    finally:
        await other.aclose()
    answer = result.outputs["answer"]
    assert answer == "".join(span.text for span in answer.spans)
    for role, share in (("small", answer.small), ("large", answer.large)):
        assert share.written > 0
        ends = role == answer.spans[-1].by  # with a token that is in no text
        assert 0 <= result.ledger.by("model")[role].completion - share.written - share.replaced <= ends


async def test_thinking_is_cut_at_its_budget_and_answered_from(backend: OpenAIBackend) -> None:
    node = {"kind": "prompt", "model": "large", "prompt": PROMPT, "thinking": {"limit": 24}, "max_tokens": 16}
    flow = Flow(
        name="thinks", models={"large": MODELS["large"]}, nodes={"answer": node}, outputs={"answer": "{{ answer }}"}
    )
    before = await settled_counters(backend)
    result = (await flow.run(backends={"large": backend})).raise_for_status()
    after = await settled_counters(backend)
    by = result.ledger.by("purpose")
    assert 0 < by["think"].completion <= 24
    assert 0 < by["answer"].completion <= 16
    assert before is not None
    assert after is not None
    moved = after.counters.since(before.counters)
    assert (moved.prompt, moved.generated) == (result.ledger.total().prompt, result.ledger.total().completion)
