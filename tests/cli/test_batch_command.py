"""`laconic batch`: one run over all items of a file, its rows, its end, and what wrong input gets."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from laconic.accounting.ledger import Ledger

Laconic = Callable[..., Result]
Book = Callable[[], Ledger]

FLOW = """
name: moods
inputs: {reviews: list, shop: {default: "the shop"}}
models:
  large:
    backend: scripted
    model: script
    options: {rules: [{match: "Input 3", answer: "1: good\\n2: bad\\n3: good"}, {match: "gone", answer: "Who knows?"},
      {match: "Input 2", answer: "1: good\\n2: bad"}, {match: ".", answer: bad}]}
nodes:
  mood: {kind: batch, items: "{{ reviews }}", item: "{{ item.text }}", instruction: "What of {{ shop }}?",
    labels: [good, bad], batch_size: 3}
outputs: {mood: "{{ mood }}"}
"""


@pytest.fixture(autouse=True)
def moods(here: Path) -> Path:
    (here / "moods.yaml").write_text(FLOW)
    write_items(here, [f"review {n}" for n in range(7)])
    return here


def write_items(here: Path, texts: list[str], more: str = "") -> None:
    items = [json.dumps({"id": f"r{n}", "text": text}) + "\n" for n, text in enumerate(texts)]
    (here / "items.jsonl").write_text("".join(items) + more)


def change(here: Path, before: str, after: str) -> None:
    text = (here / "moods.yaml").read_text()
    assert before in text
    (here / "moods.yaml").write_text(text.replace(before, after))


def rows(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_rows_are_on_stdout_in_the_order_of_the_file_with_their_exact_share(laconic: Laconic, book: Book) -> None:
    result = laconic("batch", "moods.yaml", "--data", "items.jsonl")
    assert result.exit_code == 0
    found = rows(result.stdout)
    assert [row["id"] for row in found] == [f"r{n}" for n in range(7)]
    assert [row["mood"] for row in found] == ["good", "bad", "good", "good", "bad", "good", "bad"]
    assert found[1] | {"prompt": 0, "cached": 0, "completion": 0, "tokens": 0} == {
        "id": "r1", "mood": "bad", "by": "batch", "votes": {"bad": 1.0}, "rounds": 1, "why": "",
        "prompt": 0, "cached": 0, "completion": 0, "tokens": 0,
    }  # fmt: skip
    total = book().total()
    assert sum(row["tokens"] for row in found) == total.total
    assert sum(row["prompt"] for row in found) == total.prompt
    assert sum(row["cached"] for row in found) == total.cache_read
    assert total.calls == 3, "the flow ran once, and asked of three items at a time"


def test_the_last_lines_say_how_items_were_answered_and_what_was_saved(
    laconic: Laconic, here: Path, book: Book
) -> None:
    write_items(here, ["a", "b", "c", "gone one", "gone two"])
    change(here, "What of", "Think of who wrote it and of what they want to say, not of single words. What of")
    result = laconic("batch", "moods.yaml", "--data", "items.jsonl")
    total = book().total()
    assert [row["by"] for row in rows(result.stdout)] == ["batch", "batch", "batch", "nobody", "nobody"]
    assert {row["why"] for row in rows(result.stdout)[3:]} == {"the model gave no answer that can be used"}
    counted = f"5 items: 3 by vote, 0 by a prompt of their own, 2 without an answer; {total.total:,} tokens in"
    assert f"{counted} {total.calls} calls, " in result.stderr
    assert " % of single prompting's about " in result.stderr
    assert "mood: 3/5 items, 3 votes, about " in result.stderr


def test_inputs_models_and_changes_are_given_as_to_run(laconic: Laconic, book: Book, server) -> None:
    server.reply = lambda asked: "1: bad\n2: good"
    given = ("--input", "shop=the bakery", "--model", f"large={server.url}#served", "--set", "nodes.mood.batch_size=2")
    result = laconic("batch", "moods.yaml", "--data", "items.jsonl", "--limit", "2", *given)
    assert [row["mood"] for row in rows(result.stdout)] == ["bad", "good"]
    assert server.asked == ["Input 1: review 0\nInput 2: review 1"]
    assert "single prompting" not in result.stderr, "this server counts no prompts, so nothing is said of a saving"
    assert json.loads(laconic("runs", "--json").stdout)[0]["inputs"] == {"shop": "the bakery"}


def test_bad_lines_and_repeated_ids_are_told_and_left_out(laconic: Laconic, here: Path) -> None:
    write_items(here, ["a", "b"], more='{"id": "r1", "text": "again"}\nno json\n[1]\n{"id": "r2", "text": "c"}\n')
    result = laconic("batch", "moods.yaml", "--data", "items.jsonl")
    assert result.exit_code == 0
    assert [row["id"] for row in rows(result.stdout)] == ["r0", "r1", "r2"]
    assert "line 3: the id 'r1' is on line 2 already; left out" in result.stderr
    assert "line 4: not valid JSON" in result.stderr
    assert "line 5: not a JSON object" in result.stderr
    assert "items.jsonl, 3 of 3 ok" in laconic("runs").stdout


def test_equal_texts_are_asked_once_and_answered_each(laconic: Laconic, here: Path, book: Book) -> None:
    write_items(here, ["same", "same", "same"])
    result = laconic("batch", "moods.yaml", "--data", "items.jsonl")
    assert [row["mood"] for row in rows(result.stdout)] == ["bad"] * 3
    assert len(book().calls) == 1
    assert "2 items are the same as others and are asked once" in result.stderr


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        ("{reviews: list,", "{reviews: str,", "one input of a flow that is a list; 'moods' has none"),
        ("{reviews: list,", "{more: list, reviews: list,", "is a list; 'moods' has 'more' and 'reviews'"),
        ('outputs: {mood: "{{ mood }}"}', "", "'moods' has no outputs"),
        ("outputs: {mood:", "outputs: {votes:", "the output 'votes' has the name of a column"),
    ],
)
def test_a_flow_that_is_not_for_it_is_refused(
    laconic: Laconic, here: Path, book: Book, before: str, after: str, why: str
) -> None:
    change(here, before, after)
    result = laconic("batch", "moods.yaml", "--data", "items.jsonl")
    assert result.exit_code == 2
    assert why in result.stderr
    assert book().calls == []


@pytest.mark.parametrize(
    ("args", "why"),
    [
        (("moods.yaml",), "name the file of the items with --data"),
        (("--data", "items.jsonl"), "name a flow file"),
        (("moods.yaml", "--data", "empty.jsonl"), "has no item that can be used: it is empty"),
        (("moods.yaml", "--data", "items.jsonl", "--out", "x.xlsx"), "written as .jsonl, .csv, .parquet"),
        (("moods.yaml", "--data", "items.jsonl", "--out", "no/x.csv"), "cannot be written"),
        (("moods.yaml", "--data", "items.jsonl", "-i", "reviews=[]"), "the list of items comes from --data"),
        (("moods.yaml", "--data", "items.jsonl", "-i", "shops=x"), "no input 'shops'"),
    ],
)
def test_wrong_input_is_refused_before_a_token_is_spent(
    laconic: Laconic, here: Path, book: Book, args: tuple[str, ...], why: str
) -> None:
    (here / "empty.jsonl").write_text("\n")
    result = laconic("batch", *args)
    assert result.exit_code == 2
    assert why in result.stderr
    assert book().calls == []


@pytest.mark.parametrize(
    ("output", "what"), [("{{ mood[:2] }}", "a list of 2"), ("{{ mood | length }}", "no list but int")]
)
def test_an_output_without_a_value_for_each_item_is_no_result(
    laconic: Laconic, here: Path, output: str, what: str
) -> None:
    change(here, '"{{ mood }}"}', f'"{output}"}}')
    result = laconic("batch", "moods.yaml", "--data", "items.jsonl", "--out", "rows.jsonl")
    assert result.exit_code == 1
    assert f"error: no output of the flow is a list of 7, one for each item: mood is {what}" in result.stderr
    assert (here / "rows.jsonl").read_text() == ""
    assert json.loads(laconic("runs", "--json").stdout)[0]["status"] == "failed"


def test_other_outputs_are_told_and_any_list_of_values_is_a_column(laconic: Laconic, here: Path) -> None:
    change(here, '"{{ mood }}"}', '"{{ mood }}", texts: "{{ reviews }}", number: "{{ mood | length }}"}')
    result = laconic("batch", "moods.yaml", "--data", "items.jsonl", "--limit", "2")
    assert [row["texts"] for row in rows(result.stdout)] == [
        {"id": "r0", "text": "review 0"},
        {"id": "r1", "text": "review 1"},
    ]
    assert "\nnumber: 2\n" in result.stderr
    assert "2 items: mood 2 by vote, 0 by a prompt of their own, 0 without an answer; texts 2 with a value" in (
        result.stderr
    )


def test_an_item_too_large_for_the_context_has_no_answer_and_says_why(laconic: Laconic, here: Path) -> None:
    write_items(here, ["a", "b " * 400, "c"])
    change(here, "model: script", "model: script\n    context: 300")
    result = laconic("batch", "moods.yaml", "--data", "items.jsonl")
    assert result.exit_code == 0
    assert [(row["mood"], row["why"]) for row in rows(result.stdout)] == [
        ("good", ""),
        (None, "it does not fit in the model's context"),
        ("bad", ""),
    ]
    assert "1 without an answer" in result.stderr
    assert "items.jsonl, 2 of 3 ok" in laconic("runs").stdout


def test_a_budget_ends_it_with_what_is_there_and_a_larger_one_goes_on(laconic: Laconic, here: Path, book: Book) -> None:
    result = laconic("batch", "moods.yaml", "--data", "items.jsonl", "--budget-tokens", "170", "--out", "rows.jsonl")
    assert result.exit_code == 3
    spent = book().total().total
    assert 0 < spent <= 170
    found = rows((here / "rows.jsonl").read_text())
    assert [row["id"] for row in found] == [f"r{n}" for n in range(7)]
    without = [row for row in found if row["mood"] is None]
    assert 0 < len(without) < 7
    assert {row["why"] for row in without} == {"the budget ended before it was asked"}
    assert f"{len(without)} without an answer" in result.stderr
    assert "error: the budget of the whole run is 170 tokens" in result.stderr
    record = json.loads(laconic("runs", "--json").stdout)[0]
    assert record["status"] == "budget"
    assert f"go on with: laconic batch --resume {record['run']}" in result.stderr

    again = laconic("batch", "--resume", "last", "--budget-tokens", "10000")
    assert again.exit_code == 0
    assert None not in [row["mood"] for row in rows(again.stdout)]


def test_a_node_that_fails_fails_the_run(laconic: Laconic, here: Path, book: Book) -> None:
    write_items(here, ["a"], more='{"id": "r1", "words": "b"}\n')
    result = laconic("batch", "moods.yaml", "--data", "items.jsonl")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "error: item 2 of the list, \"{'id': 'r1', 'words': 'b'}\", cannot be shown" in result.stderr
    assert book().calls == []


def test_each_command_resumes_its_own_runs(laconic: Laconic) -> None:
    assert laconic("batch", "moods.yaml", "--data", "items.jsonl").exit_code == 0
    wrong = laconic("run", "--resume", "last")
    assert wrong.exit_code == 2
    assert "is one of `laconic batch`; go on with: laconic batch --resume" in wrong.stderr
    assert laconic("run", "flow.yaml", "-i", "question=France?").exit_code == 0
    wrong = laconic("batch", "--resume", "last")
    assert wrong.exit_code == 2
    assert "is one of `laconic run`; go on with: laconic run --resume" in wrong.stderr


def test_the_same_flow_runs_on_a_list_that_is_given(laconic: Laconic, here: Path) -> None:
    change(here, '"{{ mood }}"}', '"{{ mood }}", votes: "{{ mood.details[0].votes }}"}')
    result = laconic("run", "moods.yaml", "-i", 'reviews=[{"text": "a"}, {"text": "b"}]')
    assert result.exit_code == 0
    assert result.stdout == 'mood: ["good", "bad"]\nvotes: {"good": 1.0}\n'
    assert json.loads(laconic("runs", "--json").stdout)[0]["outputs"]["mood"] == ["good", "bad"]
    whole = json.loads(laconic("run", "moods.yaml", "-i", 'reviews=[{"text": "a"}]', "--json").stdout)
    assert whole["outputs"] == {"mood": ["bad"], "votes": {"bad": 1.0}}


def test_a_terminal_shows_a_bar(here: Path) -> None:
    ours, theirs = pty.openpty()
    code = "import sys; from laconic.cli import main; sys.argv[0] = 'laconic'; main()"
    command = [sys.executable, "-c", code, "batch", "moods.yaml", "--data", "items.jsonl", "--out", "rows.csv"]
    with subprocess.Popen(command, cwd=here, stderr=theirs, env={**os.environ, "TERM": "xterm"}) as process:
        os.close(theirs)
        shown = b""
        try:
            while piece := os.read(ours, 4096):
                shown += piece
        except OSError:
            pass  # the other end is closed: that is how a terminal's end reads
    os.close(ours)
    assert process.returncode == 0
    assert "━" in shown.decode()
    assert "7/7 items, 7 votes" in shown.decode()
    assert "7 items: 7 by vote" in shown.decode()
