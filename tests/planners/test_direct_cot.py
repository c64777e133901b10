"""The baselines: one call, without and with a line of thought."""

from __future__ import annotations

from typing import Any

Answering = Any


async def test_direct_asks_once_and_gives_the_short_answer(answering: Answering) -> None:
    result = await answering({"kind": "direct"}, ['"Paris".'], question="Where? {{ x }}")
    assert result.outputs == {"answer": "Paris"}
    (request,) = answering.requests()
    assert request.messages[-1].content == "Question: Where? {{ x }}"
    assert request.max_tokens == 64
    assert set(result.ledger.by("purpose")) == {"answer"}


async def test_cot_thinks_first(answering: Answering) -> None:
    result = await answering({"kind": "cot"}, ["It lies on the Seine.\nAnswer: Paris"])
    assert result.outputs == {"answer": "Paris"}
    roles = [message.role for message in answering.requests()[0].messages]
    assert roles == ["system", *["user", "assistant"] * 4, "user"]
    assert set(result.ledger.by("purpose")) == {"answer"}


async def test_cot_takes_other_examples_or_none(answering: Answering) -> None:
    await answering({"kind": "cot", "exemplars": False}, ["Answer: x"])
    assert [message.role for message in answering.requests()[0].messages] == ["system", "user"]
    own = {"question": "1 + 1?", "steps": [], "conclusion": "One more than 1.", "answer": "2"}
    await answering({"kind": "cot", "exemplars": [own]}, ["Answer: x"])
    assert answering.requests()[0].messages[2].content == "One more than 1.\nAnswer: 2"


async def test_cot_says_that_it_was_cut_off(answering: Answering) -> None:
    result = await answering({"kind": "cot", "max_tokens": 4}, ["A very long thought that goes on and on and on."])
    assert "cut off at 4 tokens" in result.explain()
