"""What a budget, a broken text and a resumed run do to a batch."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import pytest

from laconic.accounting.store import Store
from laconic.backends import Request, ScriptedBackend
from laconic.errors import FlowError
from laconic.orchestrator import Flow, Runtime


def yes_to_all(items: Any) -> list[str]:
    return ["yes"] * len(items)


async def test_a_wall_is_the_status_of_the_run_and_the_answers_stay(batching: Any) -> None:
    done = await batching(["a", "b", "c", "d"], yes_to_all, batch_size=2, budget={"calls": 1})
    assert done.result.status == "budget"
    assert done.result.error is not None
    assert sorted(map(str, done.result.outputs["answer"])) == ["None", "None", "yes", "yes"]


async def test_a_batch_that_does_not_fit_in_the_budget_is_asked_in_parts_that_do(batching: Any) -> None:
    items = [f"{number} " + "word " * 30 for number in range(4)]
    whole = (await batching(items, yes_to_all, batch_size=4)).result.ledger.total().total
    done = await batching(items, yes_to_all, batch_size=4, budget={"tokens": whole - 20})
    assert [detail.answer for detail in done.answers.details].count("yes") in (1, 2, 3)
    assert max(len(prompt) for prompt in done.prompts()) < 4
    assert done.result.ledger.total().total <= whole - 20


async def test_a_failed_attempt_costs_those_it_was_about_and_nobody_else(batching: Any) -> None:
    def confused_by_a(items: Any) -> list[str | None]:
        return [None] * len(items) if "a" in items and len(items) > 1 else ["yes"] * len(items)

    done = await batching(["a", "b", "c", "d"], confused_by_a, batch_size=2)
    asked_again, plain = [done.answers.details[place].share.total for place in (0, 2)]
    assert asked_again > 1.5 * plain
    assert sum(detail.share.total for detail in done.answers.details) == done.result.ledger.total().total


async def test_who_has_met_no_rule_goes_to_the_last_model_although_somebody_won(batching: Any) -> None:
    often: Counter[str] = Counter()

    def wavers_on_b(items: Any) -> list[str]:
        often.update(items)
        return ["no" if item == "b" and often[item] == 2 else "yes" for item in items]

    def always_no(items: Any) -> list[str]:
        return ["no"] * len(items)

    done = await batching(
        ["a", "b", "c"], wavers_on_b, always_no, votes=3, stop="same", last="small", batch_size=3, temperature=1.0
    )
    assert done.answers == ["yes", "no", "yes"]
    assert [detail.by for detail in done.answers.details] == ["batch", "single", "batch"]
    assert done.prompts("small") == [["b"]]


async def test_half_a_surrogate_pair_costs_nobody_an_answer(batching: Any) -> None:
    done = await batching(["good", "broken \ud83d emoji", "fine"], yes_to_all, batch_size=2)
    assert done.answers == ["yes"] * 3


async def test_a_resumed_run_that_measured_pays_nothing_again() -> None:
    def answer(request: Request) -> str:
        content = (request.messages or ())[-1].content
        return "\n".join(f"{number}: yes" for number in re.findall(r"^Input (\d+):", content, re.MULTILINE)) or "yes"

    node = {
        "kind": "batch",
        "items": "{{ items }}",
        "instruction": "Is it so, and would it still be so if nobody had asked? " * 4,
        "labels": ["yes", "no"],
        "batch_size": "auto",
        "calibration_items": 80,
    }
    flow = Flow(
        name="measured",
        inputs={"items": "list"},
        models={"large": {"backend": "scripted", "model": "script"}},
        nodes={"answer": node},
        outputs={"answer": "{{ answer }}"},
    )
    items, store = [f"item {number}" for number in range(200)], Store()
    first, second = ScriptedBackend(answer), ScriptedBackend(answer)
    async with Runtime(backends={"large": first}, store=store) as runtime:
        before = await flow.run(items=items, runtime=runtime)
    async with Runtime(backends={"large": second}, store=store, reuse=True) as runtime:
        after = await flow.run(items=items, runtime=runtime)
    assert first.requests
    assert second.requests == []
    details = [result.outputs["answer"].details for result in (before, after)]
    assert [detail.by for detail in details[0]] == [detail.by for detail in details[1]]
    assert {detail.by for detail in details[0]} == {"calibration", "batch"}


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"batch_size": 1, "votes": "auto"}, "nothing is cheaper than one vote of a single prompt"),
        ({"instruction": "Is {{ item }} so?"}, "item"),
    ],
)
def test_what_makes_no_sense_is_refused_when_the_flow_is_loaded(fields: dict[str, Any], complaint: str) -> None:
    node = {"kind": "batch", "items": ["a"], "instruction": "Is it so?", "labels": ["yes", "no"], **fields}
    with pytest.raises(FlowError, match=complaint):
        Flow(name="f", models={"large": {"backend": "scripted", "model": "s"}}, nodes={"answer": node})
