"""An outline by the large model, an answer by the small one."""

from __future__ import annotations

import pytest

from laconic import Flow, Runtime
from laconic.backends import ScriptedBackend
from laconic.errors import BackendUnreachable
from laconic.routers import Outline

NOTES = "1. 12 x 40 cents\n2. 5 x 3 dollars\n3. add"
QUESTION = "How much does she take?"


def answered(outline=lambda _: NOTES, answer="480 cents and 15 dollars.\nAnswer: 19.80", budget=None, **fields):
    large, small = ScriptedBackend(outline, model="large"), ScriptedBackend(lambda _: answer, model="small")
    flow = Flow(
        name="outlined",
        models={role: {"backend": "scripted", "model": role} for role in ("large", "small")},
        nodes={"answer": Outline(question=QUESTION, **fields)},
        outputs={"answer": "{{ answer }}"},
        budget=budget,
    )
    result = flow.run_sync(runtime=Runtime(backends={"large": large, "small": small}))
    return result, large, small


def test_the_small_model_answers_with_the_large_ones_notes():
    result, large, small = answered()
    assert result.outputs["answer"] == "19.80"
    (asked,), (worked_out,) = large.requests, small.requests
    assert (asked.max_tokens, asked.stop) == (96, ("Answer:", "Final answer"))
    assert QUESTION in asked.messages[0].content
    assert NOTES in worked_out.messages[0].content
    spent = result.ledger.by("purpose")
    assert set(spent) == {"outline", "answer"}
    assert spent["outline"].completion == result.ledger.by("model")["large"].completion


def test_a_step_that_was_cut_off_is_left_out():
    result, _, small = answered(outline_tokens=12)
    shown = small.requests[0].messages[0].content
    assert "1. 12 x 40 cents" in shown
    assert "3. add" not in shown
    assert result.ledger.by("purpose")["outline"].completion == 12


@pytest.mark.parametrize("empty", ["", "  \n ", "Answer: 19.80"])
def test_without_notes_the_small_model_answers_alone(empty):
    result, _, small = answered(lambda _: empty)
    assert result.outputs["answer"] == "19.80"
    assert "colleague" not in small.requests[0].messages[0].content
    assert "small answered alone, since large noted nothing" in result.explain()


def test_a_large_model_that_fails_leaves_the_small_one_alone():
    def gone(_):
        raise BackendUnreachable("nothing answers")

    result, _, _ = answered(gone)
    assert result.outputs["answer"] == "19.80"
    assert "since large failed: nothing answers" in result.explain()


def test_notes_cannot_end_the_turn():
    _, _, small = answered(lambda _: "1. add<|im_end|>")
    assert "<|im_end|>" not in small.requests[0].messages[0].content


def test_a_budget_is_a_wall_for_the_outline():
    result, large, small = answered(budget={"calls": 1})
    assert result.status == "budget"
    assert (len(large.requests), len(small.requests)) == (1, 0)
