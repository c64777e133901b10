"""`laconic compare --score sql-...`: queries judged by what they give."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from laconic.evals.rows import read_rows
from laconic.workflows import folder

Laconic = Callable[..., Result]

FLOW = """
name: counts
inputs: {question: str, evidence: str, db_id: str}
models:
  large:
    backend: scripted
    model: script
    options: {rules: [{match: customers, answer: SELECT COUNT(*) FROM customers}, {match: ".", answer: "what?"}]}
nodes:
  sql: {kind: prompt, prompt: "{{ question }}"}
outputs: {answer: "{{ sql }}"}
"""


@pytest.fixture
def sample(here: Path) -> Path:
    """A folder as Spider's: questions, and databases in folders of their own."""
    (here / "flow.yaml").write_text(FLOW)
    spider = here / "spider"
    (spider / "database" / "shop").mkdir(parents=True)
    shutil.copy(folder() / "data" / "shop.sqlite", spider / "database" / "shop")
    asked = {"customers": "customers", "shops": "shops", "lions": "lions"}
    entries = [
        {
            "db_id": "shop",
            "question": f"How many {what}?",
            "query": f"SELECT count(*) FROM {table}",
            "sql": {"from": {}},
        }
        for what, table in asked.items()
    ]
    (spider / "dev.json").write_text(json.dumps(entries))
    return spider


@pytest.mark.parametrize("score", ["sql-spider", "sql-bird"])
def test_execution_accuracy_of_a_folder(laconic: Laconic, here: Path, sample: Path, score: str) -> None:
    args = ("compare", "flow.yaml", "--data", "spider", "--score", score, "--results", "rows.jsonl")
    result = laconic(*args, "--report", "report.md")
    assert result.exit_code == 0, result.output
    assert "entry 3: its gold query cannot be run" in result.stderr
    assert "1/2 counts 1: execution accuracy 1, " in result.stderr
    assert [line.split("  ")[0] for line in result.stdout.splitlines()[1:3]] == ["questions", "execution accuracy"]
    assert "execution accuracy | 50.0 %" in (here / "report.md").read_text()
    assert [(row.em, row.group) for row in read_rows(here / "rows.jsonl")] == [(1, "shop"), (0, "shop")]
    assert "2 rows were in rows.jsonl already" in laconic(*args).stderr


def test_databases_elsewhere(laconic: Laconic, here: Path, sample: Path) -> None:
    alone = shutil.copy(sample / "dev.json", here / "alone.json")
    args = ("compare", "flow.yaml", "--data", str(alone), "--score", "sql-bird")
    missing = laconic(*args)
    assert missing.exit_code == 2
    assert "--score sql-bird needs --databases" in missing.stderr
    assert laconic(*args, "--databases", "nowhere").exit_code == 2
    found = laconic(*args, "--databases", str(folder() / "data"))
    assert found.exit_code == 0
    assert "execution accuracy" in found.stdout


def test_databases_are_of_no_use_to_text(laconic: Laconic, sample: Path) -> None:
    result = laconic("compare", "flow.yaml", "--data", "spider/dev.json", "--databases", "spider/database")
    assert result.exit_code == 2
    assert "--databases is read with --score" in result.stderr
