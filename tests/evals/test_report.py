"""Reports: every figure is computed, untrusted text stays text, and the public names are there."""

from __future__ import annotations

import msgspec
import pytest

import laconic.evals
from laconic.accounting.activation import Tokens
from laconic.evals import Comparison, Row, summarise
from laconic.evals.provenance import ModelUsed, Provenance, shown
from laconic.evals.report import as_data, lines, markdown, text_table


def row(flow: str, id: str, total: int, f1: float = 1.0, **more: object) -> Row:
    return Row(flow=flow, id=id, key="k", run="r", em=float(f1 == 1), f1=f1, total=total, prompt=total, **more)  # type: ignore[arg-type]  # fields by name


@pytest.fixture
def comparison() -> Comparison:
    rows = [
        row("a", "1", 100),
        row("a", "2", 300, 0.5),
        row("b", "1", 50),
        row("b", "2", 150, 0.0, status="failed", error="no | luck\n# or <b>what</b>"),
    ]
    return Comparison(["a", "b"], 2, rows)


PROVENANCE = Provenance(
    command=("laconic", "compare", "a b.yaml"),
    date="2030-01-01 00:00 UTC",
    data="d.jsonl",
    data_sha256="0" * 64,
    machine="a machine",
    cores=2,
    memory_gib=8,
    python="3.11",
    laconic="0",
    packages={"httpx": "1"},
    models=(ModelUsed(flow="a", role="large", model="m", backend="scripted"),),
)


def test_figures_are_sums_and_means_of_the_rows(comparison: Comparison) -> None:
    table = dict(lines(comparison.figures)[:10])
    assert table["questions"] == ["2", "2"]
    assert table["all tokens"] == ["400", "200"]
    assert table["tokens for one exact answer"] == ["400", "200"]
    assert table["tokens for F1 of 1"] == ["267", "200"]
    first, second = comparison.figures
    assert (first.f1.value, second.f1.value) == (0.75, 0.5)
    assert second.failed == 1
    assert second.versus is not None
    assert second.versus.ratio is not None
    assert second.versus.ratio.value == 0.5
    assert second.versus.ratio.interval == (0.5, 0.5)  # each item costs half, so there is no spread


def test_tokens_of_several_roles_are_told_apart_and_outputs_that_are_numbers_have_means() -> None:
    spent = {
        "small": Tokens(read=40, generated=7, written=6, passes=46),
        "large": Tokens(generated=2, written=2, passes=2),
    }
    rows = [
        row("a", "1", 159, roles=spent, outputs={"share": 0.5, "sure": True, "why": "x"}),
        row("a", "2", 159, roles=spent, outputs={"share": 0.25, "sure": False, "why": "y", "big": 2**1100}),
    ]
    table = dict(lines(summarise({"a": rows, "b": [row("b", "1", 10, roles={"large": Tokens(read=9, generated=1)})]})))
    assert table["  prompt tokens computed by small"] == ["80", "0"]
    assert table["  completion tokens of small"] == ["14", "0"]
    assert table["  prompt tokens computed by large"] == ["0", "9"]
    assert table["output share"] == ["0.375 [0.25, 0.5]", ""]
    assert not any(name.startswith("activated") for name in table)
    less = dict(lines(summarise({"a": rows, "b": [row("b", "1", 10, roles={"large": Tokens(generated=9, unsaid=1)})]})))
    assert less["  completion tokens of large"] == ["4", "≥ 9"]
    earlier = dict(lines(summarise({"a": [*rows, row("a", "3", 10, calls=1)], "b": rows})))
    assert earlier["  completion tokens of small"] == ["", "14"]
    assert not any(name.startswith(("output sure", "output why")) for name in table)


def test_activated_parameters_are_shown_where_flows_say_how_many_their_models_have() -> None:
    spent = {
        "small": Tokens(generated=7, written=6, drafted=7, passes=10),
        "large": Tokens(generated=2, written=2, passes=20),
    }
    of = row("a", "1", 9, roles=spent, parameters={"small": 1e9, "large": 5e9}, router_parameters=1e9)
    table = dict(lines(summarise({"a": [of, of], "b": [row("b", "1", 9)]})))
    assert table["activated parameters a token, as published"] == ["2.00B", ""]
    assert table["  with everything that was computed"] == [f"{(10 + 100 + 7) / 8:.2f}B", ""]


def test_flows_are_paired_on_the_items_both_have() -> None:
    found = summarise({"a": [row("a", "1", 100), row("a", "2", 900)], "b": [row("b", "2", 90), row("b", "3", 7)]})
    assert found[1].versus is not None
    assert (found[1].versus.n, found[1].versus.tokens.value) == (1, -810)
    assert summarise({"a": [row("a", "1", 1)], "b": [row("b", "2", 1)]})[1].versus is None


def test_text_is_aligned(comparison: Comparison) -> None:
    assert len({len(line) for line in text_table(comparison.figures).splitlines()}) == 1


def test_markdown_keeps_its_shape_whatever_an_error_says(comparison: Comparison) -> None:
    text = markdown(comparison, PROVENANCE, ["line 3: not valid JSON"])
    assert "laconic compare 'a b.yaml'" in text
    assert "- left out, line 3: not valid JSON" in text
    assert "\n# or" not in text
    assert "<b>" not in text
    table = [line for line in text.splitlines() if line.startswith("| ") and "SHA" not in line]
    assert {line.count("|") for line in table if "scripted" not in line} == {4}


def test_a_report_on_queries_says_by_whose_rules_they_were_judged(comparison: Comparison) -> None:
    comparison.rows = [msgspec.structs.replace(row, score="sql-spider") for row in comparison.rows]
    text = markdown(comparison, PROVENANCE)
    assert "| execution accuracy | 50.0 %" in text
    assert "| &nbsp;&nbsp;execution accuracy |" in text
    assert "Execution accuracy is that of Spider's script" in text
    assert "F1" not in text
    assert "xact match" not in text


def test_json_is_plain_data(comparison: Comparison) -> None:
    import json

    again = json.loads(json.dumps(as_data(comparison, PROVENANCE)))
    assert [figures["flow"] for figures in again["figures"]] == ["a", "b"]
    assert again["rows"][3]["status"] == "failed"


def test_public_names_are_sorted_and_there() -> None:
    assert laconic.evals.__all__ == sorted(laconic.evals.__all__)
    for name in laconic.evals.__all__:
        assert getattr(laconic.evals, name) is not None


@pytest.mark.parametrize(
    ("part", "told"),
    [
        ("/home/me/data/dev.jsonl", "dev.jsonl"),
        ("tools.db.databases=/home/me/spider/database", "tools.db.databases=database"),
        ("neural: n.a.router=/home/me/r.safetensors; n.a.above=0.7", "neural: n.a.router=r.safetensors; n.a.above=0.7"),
        ("large=vllm:http://127.0.0.1:8000/v1#m", "large=vllm:http://127.0.0.1:8000/v1#m"),
        ("nodes.answer.by={kind: always, tier: a/b}", "nodes.answer.by={kind: always, tier: a/b}"),
    ],
)
def test_a_command_is_shown_without_the_folders_of_its_machine(part: str, told: str) -> None:
    assert shown(part) == told
