"""Flows that take all items at once: a row for each item, its share of the cost, judged by its label."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from laconic.accounting.ledger import Ledger
from laconic.accounting.store import Store
from laconic.backends import Request, ScriptedBackend
from laconic.errors import InputError
from laconic.evals import Comparison, Data, compare, read_items, read_rows
from laconic.evals.contestant import contestants
from laconic.evals.data import Item
from laconic.evals.scoring import LabelScorer
from laconic.orchestrator import Flow, Runtime

MODELS = {"large": {"backend": "scripted", "model": "script"}}
TEXTS = ["apple", "stone", "pear", "brick", "grape"]
FRUIT = {"apple", "pear", "grape"}


def sorting(size: int, output: str = "{{ kinds }}", **fields: Any) -> Flow:
    node = {
        "kind": "batch",
        "items": "{{ things }}",
        "item": "{{ item.text }}",
        "instruction": "Is it a fruit?",
        "labels": ["Yes", "No"],
        "batch_size": size,
        **fields,
    }
    return Flow(
        name=f"by {size}",
        inputs={"things": "list"},
        models=MODELS,
        nodes={"kinds": node},
        outputs={"answer": output},
    )


def eats(request: Request) -> str:
    content = (request.messages or ())[-1].content
    numbered = re.findall(r"^Input (\d+): (\w+)$", content, re.MULTILINE)
    if not numbered:
        return "yes" if content in FRUIT else "no"
    return "\n".join(f"{number}: {'yes' if text in FRUIT else 'no'}" for number, text in numbered)


@pytest.fixture
def data(tmp_path: Path) -> Data:
    path = tmp_path / "things.jsonl"
    path.write_text(
        "".join(json.dumps({"id": text[0], "text": text, "edible": int(text in FRUIT)}) + "\n" for text in TEXTS)
    )
    return read_items(path)


SCORER = LabelScorer("edible", {"1": "yes", "0": "no"})


async def run(data: Data, flows: list[Flow], backend: ScriptedBackend | None = None, **more: Any) -> Comparison:
    entrants = contestants([(flow.name, flow) for flow in flows])
    runtime = Runtime(
        backends={"large": backend or ScriptedBackend(eats)},
        ledger=more.pop("ledger", None),
        store=more.pop("store", None),
        reuse=more.pop("reuse", False),
    )
    async with runtime:
        return await compare(entrants, data, runtime, scorer=SCORER, **more)


async def test_every_item_has_a_row_and_the_rows_add_up_to_the_ledger(data: Data, tmp_path: Path) -> None:
    ledger = Ledger()
    comparison = await run(data, [sorting(1), sorting(2), sorting(8)], ledger=ledger, results=tmp_path / "rows.jsonl")
    assert [(row.flow, row.id) for row in comparison.rows] == [(f"by {n}", t[0]) for n in (1, 2, 8) for t in TEXTS]
    assert {row.em for row in comparison.rows} == {1.0}
    assert [figures.calls for figures in comparison.figures] == [5, 3, 1]
    for figures in comparison.figures:
        runs = {row.run for row in comparison.rows if row.flow == figures.flow}
        spent = ledger.total(run=runs)
        assert (figures.prompt, figures.completion) == (spent.prompt, spent.completion)
    assert read_rows(tmp_path / "rows.jsonl") == comparison.rows


async def test_what_a_flow_spends_beside_the_batch_is_everybodys(data: Data) -> None:
    flow = sorting(8)
    nodes = {**flow.nodes, "remark": {"kind": "prompt", "prompt": "Say something about fruit in general."}}
    wordy = Flow(name="wordy", inputs=flow.inputs, models=MODELS, nodes=nodes, outputs=flow.outputs)
    ledger = Ledger()
    comparison = await run(data, [wordy], ledger=ledger)
    assert sum(row.total for row in comparison.rows) == ledger.total().total
    assert max(row.total for row in comparison.rows) - min(row.total for row in comparison.rows) <= 3


async def test_a_finished_comparison_is_not_asked_again_and_a_changed_item_asks_all(data: Data, tmp_path: Path) -> None:
    results = tmp_path / "rows.jsonl"
    await run(data, [sorting(2)], results=results)
    backend = ScriptedBackend(eats)
    again = await run(data, [sorting(2)], backend, results=results)
    assert again.resumed == 5
    assert backend.requests == []
    data.items[0].fields["text"] = "quince"
    changed = await run(data, [sorting(2)], backend, results=results)
    assert changed.resumed == 0
    assert len(backend.requests) == 3


async def test_flows_are_charged_for_what_they_share_with_others(data: Data) -> None:
    data.items.pop()  # an even number: both flows ask about two at a time
    voting = sorting(2, votes=2, stop="never")
    voting = Flow(name="voting", inputs=voting.inputs, models=MODELS, nodes=voting.nodes, outputs=voting.outputs)
    comparison = await run(data, [sorting(2), voting], store=Store(), reuse=True)
    plain, voted = comparison.figures
    assert voted.calls == 2 * plain.calls
    assert voted.total > 1.8 * plain.total
    assert voted.avoided >= plain.total


async def test_an_answer_that_is_no_list_of_that_length_fails_every_item(data: Data) -> None:
    comparison = await run(data, [sorting(2, output="{{ kinds[:2] }}")])
    assert {row.status for row in comparison.rows} == {"failed"}
    assert {row.em for row in comparison.rows} == {0.0}
    assert "given 5 items and must answer with a list as long, not with a list of 2" in comparison.rows[0].error


async def test_items_without_a_label_or_with_one_that_has_no_name_are_left_out(data: Data) -> None:
    data.items[1].fields["edible"] = 7
    del data.items[2].fields["edible"]
    comparison = await run(data, [sorting(2)])
    assert [row.id for row in comparison.rows] == ["a", "b", "g"]
    assert [problem.line for problem in data.problems] == [2, 3]
    assert "'7' is none of those named" in data.problems[0].text


async def test_an_item_without_an_answer_counts_as_wrong(data: Data) -> None:
    def mute_about_stones(request: Request) -> str:
        return "?" if "stone" in (request.messages or ())[-1].content else eats(request)

    comparison = await run(data, [sorting(1)], ScriptedBackend(mute_about_stones))
    assert all(row.status == "ok" for row in comparison.rows)
    assert {row.id: row.em for row in comparison.rows} == {"a": 1.0, "s": 0.0, "p": 1.0, "b": 1.0, "g": 1.0}


async def test_no_answer_is_right_even_where_the_label_is_blank() -> None:
    blank = Item("x", 1, {"answer": " "})
    assert await LabelScorer().complaint(blank)
    assert (await LabelScorer().scores(blank, "")).exact == 0.0


async def test_flows_are_not_shown_the_right_answers(data: Data) -> None:
    backend = ScriptedBackend(eats)
    await run(data, [sorting(2, item="{{ item }}")], backend)
    prompts = [message.content for request in backend.requests for message in request.messages or ()]
    assert any("stone" in prompt for prompt in prompts)
    assert not any("edible" in prompt for prompt in prompts)


async def test_a_budget_that_ends_it_leaves_the_answers_there_are_and_is_told(data: Data) -> None:
    flow = sorting(2)
    cut = Flow(
        name="cut", inputs=flow.inputs, models=MODELS, nodes=flow.nodes, outputs=flow.outputs, budget={"calls": 1}
    )
    comparison = await run(data, [cut])
    assert [row.status for row in comparison.rows] == ["ok", "ok", "budget", "budget", "budget"]
    assert [row.em for row in comparison.rows] == [1.0, 1.0, 0.0, 0.0, 0.0]


async def test_a_shorter_list_beside_a_failed_node_is_a_failure_like_any_other(data: Data) -> None:
    flow = sorting(2, output="{{ kinds[:2] }}")
    nodes = {**flow.nodes, "broken": {"kind": "prompt", "prompt": "{{ kinds.nothing }}"}}
    broken = Flow(name="broken", inputs=flow.inputs, models=MODELS, nodes=nodes, outputs=flow.outputs)
    comparison = await run(data, [broken])
    assert {row.status for row in comparison.rows} == {"failed"}


async def test_a_flow_that_needs_more_than_the_list_is_refused_before_it_spends(data: Data) -> None:
    flow = sorting(2)
    inputs = {**flow.inputs, "shop": "str"}
    needy = Flow(name="needy", inputs=inputs, models=MODELS, nodes=flow.nodes, outputs=flow.outputs)
    backend = ScriptedBackend(eats)
    with pytest.raises(InputError, match="takes all items at once as 'things', and nothing gives it 'shop'"):
        await run(data, [flow, needy], backend)
    assert backend.requests == []
