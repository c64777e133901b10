"""Comparisons: what a row holds, that a stopped one spends nothing twice, and that a lost server is no answer."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from laconic.accounting.ledger import Ledger
from laconic.accounting.store import Store
from laconic.backends import Request, ScriptedBackend, Usage
from laconic.backends.request import Completion
from laconic.errors import BackendUnreachable, BadRequest, FlowError, InputError, ServerFailure
from laconic.evals import BirdScorer, Comparison, Data, Scorer, SpiderScorer, compare, read_items, read_rows
from laconic.evals.contestant import contestants
from laconic.evals.report import lines, text_table
from laconic.orchestrator import Flow, Runtime
from laconic.workflows import folder

MODELS = {"large": {"backend": "scripted", "model": "script"}}
CAPITALS = {"France": "Paris", "Italy": "Rome", "Japan": "Tokyo", "Peru": "Lima"}


def short(**more: Any) -> Flow:
    nodes = {"answer": {"kind": "prompt", "prompt": "Capital of {{ country }}?"}}
    return Flow(
        name="short", inputs={"country": "str"}, models=MODELS, nodes=nodes, outputs={"answer": "{{ answer }}"}, **more
    )


def long() -> Flow:
    nodes = {
        "think": {"kind": "prompt", "prompt": "Think at length about {{ country }}.", "purpose": "plan"},
        "answer": {"kind": "prompt", "prompt": "{{ think }} So what is the capital of {{ country }}?"},
    }
    return Flow(name="long", inputs={"country": "str"}, models=MODELS, nodes=nodes, outputs={"answer": "{{ answer }}"})


def knows(request: Request) -> str:
    text = (request.messages or ())[-1].content
    country = re.findall(r"(\w+)[?.]$", text)[0]
    return f"I think of {country}" if text.startswith("Think") else CAPITALS[country]


@pytest.fixture
def data(tmp_path: Path) -> Data:
    path = tmp_path / "capitals.jsonl"
    path.write_text(
        "".join(json.dumps({"id": c.lower(), "country": c, "answer": a}) + "\n" for c, a in CAPITALS.items())
    )
    return read_items(path)


async def run(data: Data, backend: ScriptedBackend, flows: list[Flow] | None = None, **more: Any) -> Comparison:
    entrants = contestants([(flow.name, flow) for flow in flows or [short(), long()]])
    async with Runtime(
        backends={"large": backend}, ledger=more.pop("ledger", None), store=more.pop("store", None)
    ) as rt:
        return await compare(entrants, data, rt, **more)


async def test_rows_hold_what_the_ledger_holds(data: Data, tmp_path: Path) -> None:
    ledger = Ledger()
    comparison = await run(data, ScriptedBackend(knows), ledger=ledger, results=tmp_path / "rows.jsonl")
    assert [(row.flow, row.id) for row in comparison.rows] == [
        (f, c.lower()) for f in ("short", "long") for c in CAPITALS
    ]
    assert {row.answer for row in comparison.rows} == set(CAPITALS.values())
    assert sum(row.total for row in comparison.rows) == ledger.total().total
    assert sum(row.cached for row in comparison.rows) == ledger.total().cache_read
    assert {row.flow: row.calls for row in comparison.rows} == {"short": 1, "long": 2}
    assert all(
        row.roles["large"].read + row.cached + row.roles["large"].generated == row.total for row in comparison.rows
    )
    assert read_rows(tmp_path / "rows.jsonl") == comparison.rows
    first, second = comparison.figures
    assert first.em.value == second.em.value == 1.0
    assert second.versus is not None
    assert second.versus.ratio is not None
    assert second.versus.ratio.value == pytest.approx(second.total / first.total)
    assert second.versus.f1.value == 0
    assert first.per_correct == first.total / 4


async def test_a_stopped_comparison_spends_nothing_on_what_was_finished(data: Data, tmp_path: Path) -> None:
    results = tmp_path / "rows.jsonl"
    seen: list[str] = []

    def stop(row: Any, fresh: bool) -> None:
        seen.append(row.id)
        if len(seen) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await run(data, ScriptedBackend(knows), results=results, on_row=stop)
    with results.open("a") as file:
        file.write('{"flow": "short", "id": "per')  # as a killed process leaves it
    ledger = Ledger()
    backend = ScriptedBackend(knows)
    told: list[tuple[str, str, bool]] = []
    comparison = await run(
        data, backend, ledger=ledger, results=results, on_row=lambda row, fresh: told.append((row.flow, row.id, fresh))
    )
    assert comparison.resumed == 3
    assert [entry for entry in told if not entry[2]] == [("short", c, False) for c in ("france", "italy", "japan")]
    assert {(call.item, call.node) for call in ledger.calls} == {
        ("peru", "answer"), *((c.lower(), node) for c in CAPITALS for node in ("think", "answer")),
    }  # fmt: skip
    assert len(comparison.rows) == 8
    again = Ledger()
    assert (await run(data, ScriptedBackend(knows), ledger=again, results=results)).rows == comparison.rows
    assert not again.calls


async def test_another_model_flow_or_item_is_asked_anew(data: Data, tmp_path: Path) -> None:
    results = tmp_path / "rows.jsonl"
    await run(data, ScriptedBackend(knows), [short()], results=results)
    other = Flow.parse(short().dump().replace("model: script", "model: other"))
    assert (await run(data, ScriptedBackend(knows), [other], results=results)).resumed == 0
    data.items[0].fields["answer"] = "another gold answer"
    comparison = await run(data, ScriptedBackend(knows), [short()], results=results)
    assert comparison.resumed == 3
    assert comparison.rows[0].em == 0


async def test_a_server_that_goes_away_ends_the_comparison_and_is_no_answer(data: Data, tmp_path: Path) -> None:
    results = tmp_path / "rows.jsonl"
    flow = Flow.parse(short().dump().replace("model: script", "model: script\n    retries: 0"))
    gone = ScriptedBackend(knows, failures=lambda n: BackendUnreachable("nobody there") if n > 2 else None)
    comparison = await run(data, gone, [flow], results=results)
    assert isinstance(comparison.error, BackendUnreachable)
    assert [row.status for row in comparison.rows] == ["ok", "ok", "unserved"]
    comparison = await run(data, ScriptedBackend(knows), [flow], results=results)
    assert comparison.resumed == 2
    assert comparison.error is None
    assert [row.em for row in comparison.rows] == [1, 1, 1, 1]


async def test_a_failed_item_counts_as_wrong_and_its_tokens_count(data: Data) -> None:
    flow = Flow.parse(long().dump().replace("model: script", "model: script\n    retries: 0"))
    backend = ScriptedBackend(knows, failures=lambda n: BadRequest("refused") if n == 4 else None)
    comparison = await run(data, backend, [flow])
    figures = comparison.figures[0]
    assert [row.status for row in comparison.rows] == ["ok", "failed", "ok", "ok"]
    assert figures.failed == 1
    assert figures.em.value == 0.75
    failed = comparison.rows[1]
    assert failed.total > 0
    assert "refused" in failed.error
    assert figures.total == sum(row.total for row in comparison.rows)


async def test_a_failing_server_does_not_end_it_but_its_rows_do_not_stand(data: Data, tmp_path: Path) -> None:
    flow = Flow.parse(short().dump().replace("model: script", "model: script\n    retries: 0"))
    results = tmp_path / "rows.jsonl"
    backend = ScriptedBackend(knows, failures=lambda n: ServerFailure("500") if n == 2 else None)
    comparison = await run(data, backend, [flow], results=results)
    assert [row.status for row in comparison.rows] == ["ok", "unserved", "ok", "ok"]
    assert "≥" in text_table(comparison.figures)  # what the failed server had computed is unknown
    assert (await run(data, ScriptedBackend(knows), [flow], results=results)).resumed == 3


async def test_items_at_once_give_the_same_rows(data: Data) -> None:
    def plain(comparison: Comparison) -> list[tuple[str, str, str, int]]:
        return [(row.flow, row.id, row.answer, row.total) for row in comparison.rows]

    one = await run(data, ScriptedBackend(knows))
    assert plain(await run(data, ScriptedBackend(knows), at_once=3)) == plain(one)
    assert plain(await run(data, ScriptedBackend(knows), item_by_item=True)) == plain(one)


async def test_a_flow_begins_once_the_last_one_has_ended(data: Data) -> None:
    ended: list[str] = []
    before_long: list[int] = []

    def notes(request: Request) -> str:
        if not (request.messages or ())[-1].content.startswith("Capital"):
            before_long.append(ended.count("short"))
        return knows(request)

    await run(data, ScriptedBackend(notes), at_once=3, on_row=lambda row, fresh: ended.append(row.flow))
    assert before_long == [4] * 8


async def test_reused_answers_do_not_make_a_flow_look_cheaper(data: Data) -> None:
    store = Store()
    entrants = contestants([("short", short())])
    async with Runtime(backends={"large": ScriptedBackend(knows)}, store=store) as runtime:
        fresh = await compare(entrants, data, runtime)
    async with Runtime(backends={"large": ScriptedBackend(knows)}, store=store, reuse=True) as runtime:
        reused = await compare(entrants, data, runtime)
        assert runtime.ledger.total().total == 0
    assert [row.total for row in reused.rows] == [row.total for row in fresh.rows]
    assert [row.avoided for row in reused.rows] == [row.total for row in fresh.rows]
    assert any(name == "tokens avoided by reuse" for name, _ in lines(reused.figures))


async def test_unknown_usage_is_shown_as_a_lower_bound(data: Data) -> None:
    def silent(request: Request) -> Completion:
        return Completion(text=knows(request), usage=Usage(None, 2, None, None, None))

    comparison = await run(data, ScriptedBackend(silent), [short()])
    table = dict(lines(comparison.figures))
    assert table["prompt tokens"] == ["≥ 0"]
    assert table["completion tokens"] == ["8"]
    assert table["all tokens"] == ["≥ 8"]
    assert table["tokens a question"][0].startswith("≥ 2")
    assert table["tokens for one exact answer"] == ["≥ 2"]


async def test_items_without_input_or_gold_are_left_out_with_their_line(data: Data, tmp_path: Path) -> None:
    with data.path.open("a") as file:
        file.write(
            '{"id": "x", "answer": "y"}\n{"id": "z", "country": "Chad"}\n{"id": "n", "country": 3, "answer": "y"}\n'
        )
    again = read_items(data.path)
    comparison = await run(again, ScriptedBackend(knows), [short()])
    assert len(comparison.rows) == 4
    assert [problem.line for problem in again.problems] == [5, 6, 7]
    assert "no field 'country'" in again.problems[0].text
    assert "no field 'answer'" in again.problems[1].text
    assert "must be str" in again.problems[2].text


def test_names_and_outputs_are_checked_before_anything_runs() -> None:
    with pytest.raises(FlowError, match="two flows are called 'a'"):
        contestants([("a", short()), ("a", short())])
    assert [c.name for c in contestants([("a", short()), ("b", short())])] == ["a", "b"]
    two = Flow(
        name="two",
        models=MODELS,
        nodes={"a": {"kind": "prompt", "prompt": "x"}},
        outputs={"x": "{{ a }}", "y": "{{ a }}"},
    )
    with pytest.raises(FlowError, match="must have an output `answer`, or only one"):
        contestants([("two", two)])


async def test_a_results_file_that_is_something_else_is_refused_and_left_alone(data: Data, tmp_path: Path) -> None:
    results = tmp_path / "rows.jsonl"
    results.write_text('{"question": "what"}\n')
    with pytest.raises(InputError, match=r"rows.jsonl:1: not a row of a comparison"):
        await run(data, ScriptedBackend(knows), [short()], results=results)
    assert results.read_text() == '{"question": "what"}\n'


def asks_sql() -> Flow:
    return Flow(
        name="sql",
        inputs={"question": "str", "db_id": "str"},
        models=MODELS,
        nodes={"sql": {"kind": "prompt", "prompt": "{{ question }}"}},
        outputs={
            "answer": "{{ sql }}",
            "tables": "{{ 2 }}",
            "words": "{{ question.split() }}",
            "long": "{{ question * 1000 }}",
        },
    )


@pytest.fixture
def shop(tmp_path: Path) -> Data:
    golds = ["SELECT COUNT(*) FROM shops", "SELECT name FROM shops ORDER BY name", "SELECT name FROM shps"]
    path = tmp_path / "shop.jsonl"
    entries = [{"id": f"s{i}", "db_id": "shop", "question": f"Q{i}", "sql": sql} for i, sql in enumerate(golds)]
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    return read_items(path)


SAID = {"Q0": "SELECT 6", "Q1": "SELECT name FROM shops ORDER BY name DESC", "Q2": "SELECT 1"}


async def test_sql_is_judged_by_what_it_gives(shop: Data, tmp_path: Path) -> None:
    def writes(request: Request) -> str:
        return SAID[(request.messages or ())[-1].content]

    async def judged(scorer: Scorer) -> Comparison:
        return await run(shop, ScriptedBackend(writes), [asks_sql()], scorer=scorer, results=tmp_path / "rows.jsonl")

    bird = await judged(BirdScorer(folder() / "data"))
    assert [str(problem) for problem in shop.problems] == [
        "line 3: its gold query cannot be run: the query failed: no such table: shps"
    ]
    assert [(row.em, row.f1, row.score, row.group) for row in bird.rows] == [(1, 1, "sql-bird", "shop")] * 2
    assert bird.rows[0].gold == ("SELECT COUNT(*) FROM shops",)
    assert bird.rows[0].outputs == {"tables": 2, "words": ["Q0"]}
    spider = await judged(SpiderScorer(folder() / "data"))
    assert (spider.resumed, [row.em for row in spider.rows]) == (0, [1, 0])
    assert (await judged(BirdScorer(folder() / "data"))).rows == bird.rows
    shop.items[0].fields["sql"] = "SELECT 7"
    again = await judged(BirdScorer(folder() / "data"))
    assert (again.resumed, [row.em for row in again.rows]) == (1, [0, 1])


async def test_a_table_of_queries_speaks_of_execution_accuracy(shop: Data) -> None:
    comparison = await run(
        shop, ScriptedBackend(lambda _: "SELECT 6"), [asks_sql()], scorer=BirdScorer(folder() / "data")
    )
    names = [name for name, _ in lines(comparison.figures)]
    assert names[:4] == ["questions", "execution accuracy", "tokens a question", "tokens for one right query"]
    assert not any("F1" in name or "exact" in name for name in names)
