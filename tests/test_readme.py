"""Every example of the README runs as written; only the model is a smaller one, which is asked for simpler SQL, and the
ledger lies elsewhere."""

from __future__ import annotations

import csv
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from laconic import Flow
from laconic.backends import ScriptedBackend

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
LARGE = "qwen2.5-coder-1.5b-instruct"


def blocks(language: str, text: str = README) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


def python_example(number: int) -> tuple[str, str]:
    """A program of the README, cut before it runs: what makes the flow, and what runs it."""
    made, run = blocks("python")[number].split("\nresult = ", 1)
    return made, "result = " + run


MULTIHOP, BATCHING = 0, 1
FLOWS = {MULTIHOP: 0, BATCHING: 4}
"""The programs, and which of the blocks in YAML is the same flow."""


@pytest.mark.parametrize("number", FLOWS)
def test_the_two_spellings_are_one_flow(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    text = blocks("yaml")[FLOWS[number]]
    names: dict[str, Any] = {}
    exec(python_example(number)[0], names)
    assert Flow.parse(text, base=ROOT) == names["flow"]
    assert Flow.parse(names["flow"].dump(), base=ROOT) == names["flow"]


def test_every_program_and_flow_is_tried() -> None:
    assert len(blocks("python")) == len(FLOWS)
    assert len(blocks("yaml")) == 6


def test_the_batch_is_the_ready_flow() -> None:
    assert Flow.parse(blocks("yaml")[4], base=ROOT) == Flow.load(ROOT / "workflows" / "classify_batch.yaml")


def test_the_models_on_vllm_are_models_of_a_flow() -> None:
    text = blocks("yaml")[1]
    models = yaml.safe_load(text)
    flow = Flow(name="any", models=models, nodes={"ask": {"kind": "prompt", "prompt": "?", "model": "large"}})
    assert {role: spec.server is not None for role, spec in flow.models.items()} == {
        "large": True,
        "small": True,
        "other": False,
        "batch": False,
    }


async def test_the_kind_that_the_engine_page_adds_works() -> None:
    (code,) = blocks("python", (ROOT / "orchestrator" / "README.md").read_text(encoding="utf-8"))
    exec(compile(code, "example", "exec", dont_inherit=True), {})
    flow = Flow(
        name="loud",
        models={"large": {"backend": "scripted", "model": "script"}},
        nodes={"answer": {"kind": "shout", "question": "why?"}},
        outputs={"answer": "{{ answer }}"},
    )
    result = await flow.run(backends={"large": ScriptedBackend("because")})
    assert result.outputs == {"answer": "BECAUSE"}
    assert list(result.ledger.by("node")) == ["answer"]


def test_the_router_is_the_ready_flows() -> None:
    written = yaml.safe_load(blocks("yaml")[2])
    flow = Flow.load(ROOT / "workflows" / "sql" / "routed.yaml").written()
    shown, there = written["sql"], flow["nodes"]["sql"]
    assert {**there, **shown, "by": {**there["by"], **shown["by"]}} == there


def test_the_answer_of_two_models_is_the_ready_flows() -> None:
    flow = Flow.load(ROOT / "workflows" / "token_route.yaml").written()
    written = yaml.safe_load(blocks("yaml")[3])
    assert Flow.parse(yaml.safe_dump({**flow, "nodes": written})).nodes == Flow.parse(yaml.safe_dump(flow)).nodes


def test_the_team_is_the_ready_flows() -> None:
    flow = Flow.load(ROOT / "workflows" / "team" / "split_qa.yaml").written()
    assert yaml.safe_load(blocks("yaml")[5]) == {"team": flow["nodes"]["team"]}


async def test_the_decider_that_the_routers_page_adds_works() -> None:
    (code,) = blocks("python", (ROOT / "routers" / "README.md").read_text(encoding="utf-8"))
    exec(compile(code, "example", "exec", dont_inherit=True), {})
    by = {"kind": "short-is-easy", "words": 3}
    flow = Flow(
        name="easy",
        inputs={"question": "str"},
        models={role: {"backend": "scripted", "model": role} for role in ("small", "large")},
        nodes={"answer": {"kind": "route", "tiers": ["small", "large"], "question": "{{ question }}", "by": by}},
        outputs={"answer": "{{ answer }}"},
    )
    backends = {role: ScriptedBackend(role) for role in ("small", "large")}
    assert (await flow.run(question="How are you?", backends=backends)).outputs == {"answer": "small"}
    assert (await flow.run(question="How are you all?", backends=backends)).outputs == {"answer": "large"}


@pytest.mark.integration
def test_the_program_runs(
    small_model: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    exec("\n".join(python_example(MULTIHOP)).replace(LARGE, small_model), {})
    printed = capsys.readouterr().out
    assert "answer/plan" in printed
    assert re.search(r"^answer/plan \d+ \d+ \d+$", printed, flags=re.MULTILINE), printed


@pytest.mark.integration
def test_the_program_with_batches_runs(
    small_model: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    exec("\n".join(python_example(BATCHING)).replace(LARGE, small_model), {})
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 24
    assert all(re.fullmatch(r".+ (batch|single|nobody) \d+", line) for line in lines), lines


@pytest.mark.integration
def test_the_commands_run(small_model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LACONIC_STORE", str(tmp_path / "ledger.db"))
    rows = tmp_path / "topics.csv"
    commands = [line[2:] for block in blocks("console") for line in block.splitlines() if line.startswith("$ ")]
    assert [shlex.split(command)[1] for command in commands] == ["run", "ledger", "audit", "run", "batch", "run"]
    for command in commands:
        program, *words = shlex.split(command)
        assert program == ".venv/bin/laconic"
        if words[0] in ("run", "batch"):
            words += ["--model", f"large=local:{small_model}"]
        if words[1:2] == ["workflows/sql/routed.yaml"]:
            words[words.index("--input") + 1] = "question=How many customers are there?"
            words += ["--set", "nodes.sql.by={kind: always, tier: basic}"]
        if words[0] == "batch":
            words[words.index("--out") + 1] = str(rows)
        installed = str(Path(sys.executable).with_name("laconic"))
        done = subprocess.run([installed, *words], cwd=ROOT, capture_output=True, text=True, check=False)
        if words[1:2] == ["workflows/team/split_qa.yaml"]:
            assert "tokens of prompts" in done.stderr, done.stderr
            if done.returncode:  # two of these small models need not come to an answer; then that is what is said
                assert "nobody gave an answer" in done.stderr, done.stderr
                continue
        assert done.returncode == 0, done.stderr
        assert (rows.read_text(encoding="utf-8") if words[0] == "batch" else done.stdout).strip()
    assert len(list(csv.DictReader(rows.read_text(encoding="utf-8").splitlines()))) == 24
