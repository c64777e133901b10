"""The worked examples: one source, three forms, each of which its own parser reads."""

from __future__ import annotations

import dataclasses

import pytest

from laconic.orchestrator.answer import short_answer
from laconic.planners.exemplars import EXEMPLARS, Exemplar, cot_turns, plan_turns, react_turns
from laconic.planners.plan import parse_plan
from laconic.planners.prompts import (
    Finding,
    cot_prompt,
    direct_prompt,
    observation,
    plan_prompt,
    react_prompt,
    repair_prompt,
    solve_prompt,
)
from laconic.planners.trace import Action, Finish, parse_turn
from laconic.tools.calling import ToolLine

TOOLS = ("search", "calculator")
LINES = [ToolLine("search", "query", "passages"), ToolLine("calculator", "expression", "a value")]

each_exemplar = pytest.mark.parametrize("exemplar", EXEMPLARS, ids=lambda exemplar: exemplar.answer)


@each_exemplar
def test_the_plan_form_parses(exemplar: Exemplar) -> None:
    plan = parse_plan(plan_turns(exemplar)[-1]["content"], TOOLS)
    assert [(s.reason, s.tool, s.written()) for s in plan.steps] == [
        (s.thought, s.tool, s.argument) for s in exemplar.steps
    ]


@each_exemplar
def test_the_conversation_form_parses_and_names_what_was_found(exemplar: Exemplar) -> None:
    turns = react_turns(exemplar)
    assert [turn["role"] for turn in turns] == ["user", "assistant"] * (len(exemplar.steps) + 1)
    said = [parse_turn(turn["content"], TOOLS) for turn in turns if turn["role"] == "assistant"]
    for step, action in zip(exemplar.steps, said, strict=False):
        assert isinstance(action, Action)
        assert action.thought.endswith(step.thought)
        assert action.tool == step.tool
        assert "#E" not in action.argument
    assert said[-1] == Finish(exemplar.conclusion, exemplar.answer)


@each_exemplar
def test_the_chain_of_thought_form_ends_with_the_answer(exemplar: Exemplar) -> None:
    assert short_answer(cot_turns(exemplar)[-1]["content"]) == exemplar.answer


@each_exemplar
def test_what_was_found_stands_in_the_observation(exemplar: Exemplar) -> None:
    for step in exemplar.steps:
        assert step.finding in step.observation


def test_exemplars_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        EXEMPLARS[0].answer = "other"  # type: ignore[misc]  # that it cannot be set is what is tested


def test_prompts_differ_in_their_last_turn_only() -> None:
    one = cot_prompt("Who?"), react_prompt("Who?", LINES), plan_prompt("Who?", LINES)
    two = cot_prompt("Where?"), react_prompt("Where?", LINES), plan_prompt("Where?", LINES)
    for who, where in zip(one, two, strict=True):
        assert who[:-1] == where[:-1]
        assert who[-1] == {"role": "user", "content": "Question: Who?"}


def test_react_and_rewoo_see_the_same_tools_and_questions() -> None:
    react, plan = react_prompt("Who?", LINES), plan_prompt("Who?", LINES)
    for line in ("search[query]: passages", "calculator[expression]: a value"):
        assert line in react[0]["content"]
        assert line in plan[0]["content"]
    asked = [turn for turn in react if turn["content"].startswith("Question:")]
    assert asked == [turn for turn in plan if turn["role"] == "user"]


def test_the_solver_sees_each_passage_once_and_the_question_last() -> None:
    findings = [
        Finding("find a", "A: one\nB: two"),
        Finding("find b", "B: two\nC: {{ x }} #E1"),
        Finding("find c", "A: one"),
    ]
    system, user = solve_prompt("Who?", findings)
    assert "noise" in system["content"]
    assert user["content"] == (
        "find a\nA: one\nB: two\n\nfind b\nC: {{ x }} #E1\n\nfind c\n(nothing new)\n\nQuestion: Who?"
    )


def test_a_repair_goes_on_where_the_planner_stopped() -> None:
    planned = plan_prompt("Who?", LINES)
    repair = repair_prompt(planned, "#E1 = search[#E2]", "line 1: #E1 uses #E2, which no step defines")
    assert repair[: len(planned)] == planned
    assert repair[len(planned)] == {"role": "assistant", "content": "#E1 = search[#E2]"}
    assert "#E1 uses #E2" in repair[-1]["content"]


def test_small_prompts() -> None:
    assert [turn["role"] for turn in direct_prompt("Who?")] == ["system", "user"]
    assert observation("x") == {"role": "user", "content": "Observation: x"}
    assert "Answer" in observation("x", last=True)["content"]
