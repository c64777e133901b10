"""Commands that look: the bill, the runs, the graph, the schema, the models, the state of the installation."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from laconic.accounting.call import Call
from laconic.accounting.database import Database
from laconic.accounting.ledger import Ledger
from laconic.accounting.runs import RunRecord
from laconic.backends import Usage
from laconic.backends.catalogue import CATALOGUE

Laconic = Callable[..., Result]

TWO = """
name: two
inputs: {question: str}
models: {large: {backend: scripted, model: s, options: {answer: "word word"}}}
tools: {calculator: {kind: calculator}}
nodes:
  plan: {kind: prompt, prompt: "Plan {{ question }}", purpose: plan}
  sum: {kind: tool, tool: calculator, args: "1+1"}
  answer: {kind: prompt, prompt: "{{ plan }} {{ sum }} {{ question }}", purpose: solve, when: "{{ plan }}"}
outputs: {answer: "{{ answer }}"}
"""


@pytest.fixture
def two(laconic: Laconic, here: Path) -> Path:
    (here / "two.yaml").write_text(TWO)
    assert laconic("run", "two.yaml", "-i", "question=why").exit_code == 0
    return here / "two.yaml"


def test_the_bill_is_that_of_the_ledger(laconic: Laconic, two: Path, here: Path) -> None:
    total = Ledger.load(here / ".laconic" / "laconic.db").total()
    found = json.loads(laconic("ledger", "--json").stdout)
    assert list(found["groups"]) == ["plan", "answer"]
    assert found["total"]["total"] == total.total == sum(group["total"] for group in found["groups"].values())
    by_purpose = json.loads(laconic("ledger", "last", "--by", "purpose", "--json").stdout)
    assert list(by_purpose["groups"]) == ["plan", "solve"]
    rows = list(csv.DictReader(io.StringIO(laconic("ledger", "--csv").stdout)))
    assert [(row["node"], int(row["total"])) for row in rows] == [
        (name, group["total"]) for name, group in found["groups"].items()
    ]
    head, *lines = laconic("ledger").stdout.splitlines()
    assert head.split() == [
        "node",
        "prompt",
        "of",
        "it",
        "cached",
        "completion",
        "total",
        "calls",
        "seconds",
        "avoided",
    ]
    assert lines[-1].split()[:5] == [
        "total",
        str(total.prompt),
        str(total.cache_read),
        str(total.completion),
        str(total.total),
    ]
    assert laconic("ledger", "--json", "--csv").exit_code == 2


def test_a_run_is_found_by_the_beginning_of_its_id(laconic: Laconic, two: Path) -> None:
    found = json.loads(laconic("ledger", "--json").stdout)
    again = json.loads(laconic("ledger", found["run"][:-2], "--json").stdout)
    assert again == found


def test_lower_bounds_and_estimates_are_marked(laconic: Laconic, here: Path) -> None:
    with Database(here / "l.db") as database:
        database.save_run(RunRecord(run="r1", flow="f", started=1.0))
        database.write_call(Call(run="r1", node="a", model="m", usage=Usage(1000, 5, None, None, None)))
        database.write_call(Call(run="r1", node="a", model="m", usage=Usage(None, 7, None, None, None)))
        database.write_call(Call(run="r1", node="b", model="m", usage=Usage(100, 5, 0, 0, 0, "estimated")))
    args = ("ledger", "r1", "--store", "l.db")
    a, b, total = (line.split("  ") for line in laconic(*args).stdout.splitlines()[1:])
    assert "≥ 1,000" in a
    assert "unknown" in " ".join(a)
    assert "≈ 100" in " ".join(b)
    assert "≳ 1,117" in " ".join(total)
    rows = list(csv.DictReader(io.StringIO(laconic(*args, "--csv").stdout)))
    assert rows[0]["lower_bounds"] == "prompt cache_read"
    assert rows[1]["estimated"] == "1"


def test_runs_are_listed_latest_first(laconic: Laconic, two: Path, here: Path) -> None:
    laconic("run", "flow.yaml", "-i", "question=France?")
    head, *lines = laconic("runs").stdout.splitlines()
    assert head.split()[:3] == ["run", "flow", "status"]
    assert ["capitals" in lines[0], "two" in lines[1]] == [True, True]
    assert len(laconic("runs", "--limit", "1").stdout.splitlines()) == 2
    assert "question=France?" in lines[0]


def test_a_record_that_says_running_of_a_process_that_is_gone_is_interrupted(laconic: Laconic, here: Path) -> None:
    import platform

    dead = {"pid": 2**22 + 1, "machine": platform.node(), "began": "1"}
    with Database(here / "l.db") as database:
        database.save_run(RunRecord(run="r1", flow="f", started=1.0, inputs={"@process": dead}))
        database.save_run(RunRecord(run="r2", flow="f", started=2.0, inputs={"@process": {**dead, "machine": "other"}}))
    found = {run["run"]: run["status"] for run in json.loads(laconic("runs", "--store", "l.db", "--json").stdout)}
    assert found == {"r1": "interrupted", "r2": "running?"}


def test_the_graph_as_text(laconic: Laconic, two: Path) -> None:
    assert laconic("graph", "two.yaml").stdout.splitlines() == [
        "two",
        "inputs: question: str",
        "├── plan  prompt model=large",
        "└── sum  tool tool=calculator",
        "    └── answer  prompt model=large conditional  (also waits for plan)",
        "output answer <- answer",
    ]


def test_the_graph_as_mermaid_says_what_waits_for_what(laconic: Laconic, two: Path) -> None:
    lines = laconic("graph", "two.yaml", "--mermaid").stdout.splitlines()
    assert lines[0] == "flowchart LR"
    assert {line.strip() for line in lines if "-->" in line} == {
        "in_question --> n_plan",
        "in_question --> n_answer",
        "n_plan --> n_answer",
        "n_sum --> n_answer",
        "n_answer --> out_0",
    }


def test_the_graph_as_a_picture(laconic: Laconic, two: Path, here: Path) -> None:
    pytest.importorskip("matplotlib")
    assert laconic("graph", "two.yaml", "--png", "two.png").exit_code == 0
    assert (here / "two.png").read_bytes().startswith(b"\x89PNG")
    assert laconic("graph", "two.yaml", "--png", "none/two.png").exit_code == 2


def test_a_picture_without_the_extra_says_what_to_install(
    laconic: Laconic, two: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "networkx", None)
    result = laconic("graph", "two.yaml", "--png", "two.png")
    assert result.exit_code == 1
    assert 'pip install "laconic[graph]"' in result.stderr


def test_the_schema_knows_the_kinds(laconic: Laconic) -> None:
    schema: dict[str, Any] = json.loads(laconic("schema").stdout)
    assert schema["required"] == ["name", "nodes"]
    assert {"rewoo", "react", "prompt"} <= {
        part["properties"]["kind"]["const"] for part in schema["$defs"].values() if "kind" in part.get("properties", {})
    }


def test_models_are_listed_pulled_from_a_file_and_found(
    laconic: Laconic, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LACONIC_MODELS", str(here / "models"))
    listed = json.loads(laconic("models", "list", "--json").stdout)
    assert [entry["name"] for entry in listed] == list(CATALOGUE)
    assert all(entry["path"] is None for entry in listed)
    assert "not here" in laconic("models", "list").stdout
    (here / "wrong.gguf").write_bytes(b"GGUF but no model")
    result = laconic("models", "pull", "smollm2-135m-instruct", "--from", "wrong.gguf")
    assert result.exit_code == 1
    assert "98,362,432 bytes" in result.stderr
    assert (here / "wrong.gguf").read_bytes() == b"GGUF but no model"
    missing = laconic("models", "path", "smollm2-135m-instruct")
    assert missing.exit_code == 1
    assert "laconic models pull smollm2-135m-instruct" in missing.stderr


def test_doctor_says_what_is_there_and_what_is_not(laconic: Laconic, here: Path, server) -> None:
    (here / "flow.yaml").write_text(
        f"""
name: three
models:
  large: {{backend: scripted, model: s, options: {{answer: hi}}}}
  small: {{backend: openai, model: served, url: "{server.url}"}}
  gone: {{backend: openai, model: severed, url: "{server.url}"}}
nodes:
  answer: {{kind: prompt, prompt: hi}}
"""
    )
    result = laconic("doctor", "flow.yaml")
    assert result.exit_code == 1
    told = result.stdout.splitlines()
    assert any(line.startswith("  ok      large: scripted") for line in told)
    assert any(line.startswith("  ok      small: openai served") and "cannot count prompts" in line for line in told)
    assert any(line.startswith("  missing gone: openai severed") and "did you mean 'served'" in line for line in told)
    assert server.asked == []
    assert laconic("doctor").exit_code == 0


def test_every_command_has_a_help_page(laconic: Laconic) -> None:
    looking = ("runs", "ledger", "audit", "graph", "schema", "doctor", "models")
    for command in ("run", "compare", "calibrate", "demo", "serve-models", *looking):
        result = laconic(command, "--help")
        assert result.exit_code == 0
        assert f"Usage: laconic {command}" in result.stdout


ROUTED = """
name: routed
inputs: {question: str}
models: {large: {backend: scripted, model: script, options: {rules: [{match: ".", answer: Paris}]}}}
nodes:
  cheap: {kind: prompt, prompt: "{{ question }}"}
  dear: {kind: prompt, prompt: "Think: {{ question }}"}
  answer:
    {kind: route, tiers: [cheap, dear], question: "{{ question }}", by: {kind: always, tier: dear}, tokens: {dear: 90}}
outputs: {answer: "{{ answer }}"}
"""


def test_the_graph_shows_what_a_router_may_choose(laconic: Laconic, here: Path) -> None:
    (here / "routed.yaml").write_text(ROUTED)
    assert laconic("graph", "routed.yaml").stdout.splitlines()[2:5] == [
        "├── cheap  prompt model=large  (if answer chooses it)",
        "├── dear  prompt model=large  (if answer chooses it)",
        "└── answer  route",
    ]
    assert "  n_dear -.-> n_answer" in laconic("graph", "routed.yaml", "--mermaid").stdout.splitlines()
    assert laconic("graph", "routed.yaml", "--png", "routed.png").exit_code == 0


def test_a_run_tells_what_its_router_decided(laconic: Laconic, here: Path) -> None:
    (here / "routed.yaml").write_text(ROUTED)
    told = laconic("run", "routed.yaml", "-i", "question=Capital?").stderr.splitlines()
    place = next(i for i, line in enumerate(told) if line.startswith("answer/route (decide) ok"))
    assert told[place + 1] == "  dear (cheap 0.00, dear 1.00); about 90 tokens"
    assert any(line.startswith("answer/dear (prompt) ok") and "tokens" in line for line in told)
