"""A model as a tool."""

from __future__ import annotations

from typing import Any

from laconic.backends import Request
from laconic.errors import ContextTooLong


async def test_the_model_sees_the_instruction_first_and_answers_the_question(use: Any) -> None:
    seen: list[Request] = []

    def answer(request: Request) -> str:
        seen.append(request)
        return "  Paris \n"

    result = await use(
        {"kind": "ask", "model": "large", "max_tokens": 9, "instruction": "In one word."}, "Capital of France?", answer
    )
    assert result.outputs["said"] == "Paris"
    (message,) = seen[0].messages or ()
    assert message.content == "In one word.\n\nQuestion: Capital of France?\nAnswer:"
    assert seen[0].max_tokens == 9


async def test_its_tokens_are_in_the_ledger_as_the_tools(use: Any) -> None:
    result = await use({"kind": "ask", "model": "large"}, "Capital of France?", lambda _: "Paris")
    (call,) = result.ledger.calls
    assert (call.purpose, call.node, call.model) == ("tool", "step", "large")
    assert call.usage.prompt > 0
    assert call.usage.completion > 0


async def test_a_question_is_data(use: Any) -> None:
    seen: list[Request] = []

    def answer(request: Request) -> str:
        seen.append(request)
        return "{{ args }} #E1"

    result = await use({"kind": "ask", "model": "large"}, {"question": "What is {{ args }} or #E3?"}, answer)
    assert "Question: What is {{ args }} or #E3?\n" in (seen[0].messages or ())[0].content
    assert result.outputs["said"] == "{{ args }} #E1"


async def test_an_answer_that_was_cut_off_shows_it(use: Any) -> None:
    result = await use({"kind": "ask", "model": "large", "max_tokens": 2}, "Count!", lambda _: "one two three four")
    assert result.outputs["said"].startswith("one")
    assert result.outputs["said"].endswith("…")
    assert "four" not in result.outputs["said"]


async def test_nothing_asked_and_nothing_answered_are_said(use: Any) -> None:
    result = await use({"kind": "ask", "model": "large"}, "  ", lambda _: "Paris")
    assert result.status == "failed"
    assert "the question is empty" in str(result.error)
    assert len(result.ledger.calls) == 0
    result = await use({"kind": "ask", "model": "large"}, "Who?", lambda _: " ")
    assert "empty answer" in str(result.error)
    assert len(result.ledger.calls) == 1


async def test_a_model_that_fails_makes_a_message_fit_to_be_evidence(use: Any) -> None:
    def answer(_: Request) -> str:
        raise ContextTooLong("the prompt has 9,000 tokens")

    result = await use({"kind": "ask", "model": "large"}, "Who?", answer)
    assert "the model could not be asked: the prompt has 9,000 tokens" in str(result.error)


async def test_the_wall_of_a_budget_is_not_evidence(use: Any) -> None:
    result = await use({"kind": "ask", "model": "large"}, "Who?", lambda _: "I", budget={"tokens": 3})
    assert result.status == "budget"
    assert len([call for call in result.ledger.calls if call.usage.total]) == 0
