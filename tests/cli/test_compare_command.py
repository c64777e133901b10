"""`laconic compare`: the command around the comparison."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from laconic.accounting.ledger import Ledger
from laconic.evals.rows import read_rows
from laconic.orchestrator import Context, Node, kind

Laconic = Callable[..., Result]

SLOW_AT_FIRST = """
name: slow at first
inputs: {question: str}
nodes: {answer: {kind: test_slow_at_first}}
outputs: {answer: "{{ answer }}"}
"""


@kind("test_slow_at_first")
class SlowAtFirst(Node):
    """Says whether it had to measure."""

    async def run(self, ctx: Context) -> str:
        known = ctx.recall("size")
        ctx.remember("size", {"best": 8})
        return "remembered" if known else "measured"


@pytest.fixture
def flows(here: Path) -> tuple[str, str]:
    (here / "d.jsonl").write_text(
        "".join(
            json.dumps({"id": id, "question": f"Capital of {country}?", "answer": answer, "aliases": ["unknown | x"]})
            + "\n"
            for id, country, answer in (("f", "France", "Paris"), ("p", "Peru", "Lima"), ("g", "France again", "Paris"))
        )
    )
    text = (here / "flow.yaml").read_text()
    (here / "long.yaml").write_text(
        text.replace("name: capitals", "name: wordy").replace("Answer: {{", "Please be so kind as to answer this: {{")
    )
    return "flow.yaml", "long.yaml"


def test_table_rows_report_and_runs(laconic: Laconic, here: Path, flows: tuple[str, str]) -> None:
    result = laconic("compare", *flows, "--data", "d.jsonl", "--results", "rows.jsonl", "--report", "report.md")
    assert result.exit_code == 0
    rows = read_rows(here / "rows.jsonl")
    total = Ledger.load(here / ".laconic" / "laconic.db").total()
    assert sum(row.total for row in rows) == total.total
    assert "66.7 % [20.8, 93.9]" in result.stdout
    assert "against capitals, paired" in result.stdout
    report = (here / "report.md").read_text()
    assert "| exact match | 66.7 % [20.8, 93.9] | 66.7 % [20.8, 93.9] |" in report
    assert str(here) not in report
    assert [run["flow"] for run in json.loads(laconic("runs", "--json").stdout)] == ["wordy", "capitals"]


def test_flow_by_flow_or_item_by_item(laconic: Laconic, here: Path, flows: tuple[str, str]) -> None:
    asking = ("compare", *flows, "--data", "d.jsonl", "--results")
    laconic(*asking, "flows.jsonl")
    laconic(*asking, "items.jsonl", "--item-by-item")
    asked = [[(row.flow, row.id) for row in read_rows(here / f"{name}.jsonl")] for name in ("flows", "items")]
    assert asked[0] == [(flow, item) for flow in ("capitals", "wordy") for item in "fpg"]
    assert asked[1] == [(flow, item) for item in "fpg" for flow in ("capitals", "wordy")]


def test_json_holds_everything(laconic: Laconic, flows: tuple[str, str]) -> None:
    found: dict[str, Any] = json.loads(laconic("compare", *flows, "--data", "d.jsonl", "--json").stdout)
    assert [figures["flow"] for figures in found["figures"]] == ["capitals", "wordy"]
    assert found["figures"][0]["versus"] is None
    assert found["figures"][1]["versus"]["ratio"]["value"] > 1
    assert len(found["rows"]) == 6
    assert found["provenance"]["models"][0]["backend"] == "scripted"
    assert len(found["provenance"]["data_sha256"]) == 64


def test_a_second_time_nothing_is_spent(laconic: Laconic, here: Path, flows: tuple[str, str]) -> None:
    args = ("compare", *flows, "--data", "d.jsonl", "--results", "rows.jsonl")
    first = laconic(*args)
    calls = len(Ledger.load(here / ".laconic" / "laconic.db").calls)
    second = laconic(*args)
    assert second.stdout == first.stdout
    assert "6 rows were in rows.jsonl already" in second.stderr
    assert len(Ledger.load(here / ".laconic" / "laconic.db").calls) == calls


def test_what_a_run_found_out_is_no_advantage_in_a_comparison(laconic: Laconic, here: Path) -> None:
    (here / "flow.yaml").write_text(SLOW_AT_FIRST)
    (here / "d.jsonl").write_text('{"question": "Who?", "answer": "measured"}\n')
    answers = [laconic("run", "flow.yaml", "--input", "question=Who?", "--json").stdout for _ in range(2)]
    assert [json.loads(answer)["outputs"]["answer"] for answer in answers] == ["measured", "remembered"]
    (row,) = json.loads(laconic("compare", "flow.yaml", "--data", "d.jsonl", "--json").stdout)["rows"]
    assert row["answer"] == "measured"


def test_a_changed_flow_is_compared_anew(laconic: Laconic, here: Path, flows: tuple[str, str]) -> None:
    args = ("compare", flows[0], "--data", "d.jsonl", "--results", "rows.jsonl", "--limit", "2")
    laconic(*args)
    assert "already" not in laconic(*args, "--set", "nodes.answer.max_tokens=7").stderr
    assert len(read_rows(here / "rows.jsonl")) == 4
    assert laconic(*args, "--set", "nodes.answr.max_tokens=7").exit_code == 2


def test_ctrl_c_keeps_the_rows_and_the_same_command_goes_on(
    laconic: Laconic, here: Path, server, questions: Path, start
) -> None:
    (here / "flow.yaml").write_text(server.flow())
    args = ("compare", "flow.yaml", "--data", "questions.jsonl", "--results", "rows.jsonl")
    server.hold = "question 3"
    with start(*args) as process:
        server.wait_until_held()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "stopped after 2 of 5" in err
    assert "Traceback" not in err
    server.open()
    server.asked.clear()
    result = laconic(*args)
    assert result.exit_code == 0
    assert server.asked == ["question 3", "question 4", "question 5"]
    assert len(read_rows(here / "rows.jsonl")) == 5


def test_a_part_of_a_comparison_is_not_resumed_by_run(laconic: Laconic, flows: tuple[str, str]) -> None:
    laconic("compare", flows[0], "--data", "d.jsonl")
    result = laconic("run", "--resume", "last")
    assert result.exit_code == 2
    assert "part of a comparison" in result.stderr


def test_a_report_needs_its_folder_before_anything_runs(laconic: Laconic, here: Path, flows: tuple[str, str]) -> None:
    result = laconic("compare", flows[0], "--data", "d.jsonl", "--report", "none/r.md")
    assert result.exit_code == 2
    assert not (here / ".laconic").exists()


def test_variants_of_one_flow_are_compared_by_label(laconic: Laconic, here: Path) -> None:
    (here / "d.jsonl").write_text("".join(json.dumps({"text": f"thing {n}", "right": n % 2}) + "\n" for n in range(4)))
    (here / "sort.yaml").write_text(
        "name: sort\ninputs: {things: list}\n"
        "models: {large: {backend: scripted, model: script, options: {answer: odd}}}\n"
        "nodes:\n  kinds: {kind: batch, items: '{{ things }}', item: '{{ item.text }}', instruction: Odd or even,"
        " labels: [odd, even]}\noutputs: {kinds: '{{ kinds }}'}\n"
    )
    asked = (
        *("compare", "sort.yaml", "--data", "d.jsonl", "--score", "label", "--gold", "right"),
        *("--gold-name", "1=odd", "--gold-name", "0=even", "--results", "rows.jsonl"),
    )
    result = laconic(
        *asked,
        *("--variant", "alone: nodes.kinds.batch_size=1"),
        *("--variant", "twice: nodes.kinds.batch_size=1; nodes.kinds.votes=2"),
    )
    assert result.exit_code == 0, result.output
    assert "accuracy" in result.stdout
    rows = read_rows(here / "rows.jsonl")
    assert [(row.flow, row.id) for row in rows] == [(f, str(n)) for f in ("alone", "twice") for n in (1, 2, 3, 4)]
    assert [row.em for row in rows[:4]] == [0.0, 1.0, 0.0, 1.0]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--variant", "no colon"], "--variant needs NAME: KEY=VALUE"),
        (["--variant", "a: x=1", "--variant", "a: x=2"], "two --variant have the same name"),
        (["--variant", "a: nodes.nothing.here=1"], "there is no such place"),
        (["--gold", "right"], "--score label only"),
    ],
)
def test_wrong_variants(laconic: Laconic, flows: tuple[str, str], options: list[str], complaint: str) -> None:
    result = laconic("compare", flows[0], "--data", "d.jsonl", *options)
    assert result.exit_code == 2
    assert complaint in result.output
