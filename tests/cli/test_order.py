"""`laconic run --data` lets as many items come as there are to choose from, and hands them out in order."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

FLOW = """
name: archive
inputs: {document: str, number: int}
models:
  large: {backend: scripted, model: script, concurrency: 4, options: {answer: "room 4", block: 16, blocks: 40}}
nodes:
  find: {kind: prompt, system: "{{ document }}", prompt: "Question {{ number }}?", max_tokens: 4}
outputs: {found: "{{ find }}"}
"""
DOCUMENTS = [f"Document {n} of the archive. " + f"Item {n} lies in room {n * 7}. " * 12 for n in range(6)]


@pytest.fixture(autouse=True)
def archive(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LACONIC_STORE", str(here / "ledger.db"))
    (here / "archive.yaml").write_text(FLOW)
    items = [{"id": f"{n}-{q}", "document": text, "number": q} for q in range(4) for n, text in enumerate(DOCUMENTS)]
    (here / "items.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items))


def cached(laconic: Callable[..., Result], here: Path, *options: str) -> int:
    done = laconic("run", "archive.yaml", "--data", "items.jsonl", "--out", "out.jsonl", *options)
    assert done.exit_code == 0, done.stderr
    rows = [json.loads(line) for line in (here / "out.jsonl").read_text().splitlines()]
    assert [row["id"] for row in rows] == [f"{n}-{q}" for q in range(4) for n in range(6)]
    bill = json.loads(laconic("ledger", "--json").stdout)
    return int(bill["total"]["cached"])


def test_items_go_by_what_their_prompts_have_in_common(laconic: Callable[..., Result], here: Path) -> None:
    prefix = cached(laconic, here)
    arrival = cached(laconic, here, "--order", "arrival")
    one_at_a_time = cached(laconic, here, "--items-at-once", "1")
    assert prefix > 2 * max(arrival, one_at_a_time)
