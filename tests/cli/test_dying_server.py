"""A vLLM server that dies in the middle of a run: what is finished is kept, and the run goes on where it was."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from laconic.accounting.ledger import Ledger
from laconic.backends import vllm_backend
from laconic.backends.vllm_python import ask_python

FLOW = """
name: tides
inputs: {sea: str}
models: {large: {backend: vllm, model: ./tiny, retries: 0}}
nodes: {fact: {kind: prompt, prompt: "Say one thing about {{ sea }}.", max_tokens: 1}}
outputs: {fact: "{{ fact }}"}
"""
SEAS = ("the Baltic", "the North Sea", "the Adriatic", "the Aegean", "the Irish Sea")


@pytest.fixture(autouse=True)
def standin(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LACONIC_VLLM_PYTHON", sys.executable)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent.parent / "backends" / "standin"))
    monkeypatch.setenv("LACONIC_STORE", str(here / "ledger.db"))
    ask_python.cache_clear()
    (here / "tiny").mkdir()
    (here / "tiny" / "config.json").write_text("{}")
    (here / "tides.yaml").write_text(FLOW)
    (here / "seas.jsonl").write_text("".join(json.dumps({"id": sea, "sea": sea}) + "\n" for sea in SEAS))


def finished(path: Path) -> list[str]:
    return [row["id"] for row in map(json.loads, path.read_text().splitlines()) if row["status"] == "ok"]


def test_what_is_finished_is_kept_and_the_run_goes_on(
    laconic: Callable[..., Result], here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STANDIN", "dies at call 3")
    died = laconic("run", "tides.yaml", "--data", "seas.jsonl", "--out", "first.jsonl", "--items-at-once", "1")
    assert died.exit_code == 1
    assert re.search(r"server of 'tiny' has ended: ValueError: the tide is out\. Its log is \S+\.log", died.stderr)
    assert "Traceback" not in died.stderr
    assert finished(here / "first.jsonl") == list(SEAS[:2])
    assert vllm_backend.servers == {}, "no server is left"
    resume = re.search(r"--resume \S+", died.stderr)
    assert resume is not None, died.stderr

    monkeypatch.setenv("STANDIN", "")
    again = laconic("run", *resume[0].split(), "--out", "second.jsonl")
    assert again.exit_code == 0, again.stderr
    assert finished(here / "second.jsonl") == list(SEAS)
    run = re.search(r"run (\S+): ok", again.stderr)
    assert run is not None
    calls = Ledger.load(here / "ledger.db", run[1]).calls
    assert [call.status for call in calls] == ["replayed", "replayed", "ok", "ok", "ok"]
