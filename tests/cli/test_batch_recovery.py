"""A `laconic batch` that was killed goes on, and pays for no call again that had finished."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from typer.testing import Result

from laconic.accounting.ledger import Ledger

FLOW = """
name: moods
inputs: {reviews: list}
models: {large: {backend: openai, model: served, url: "URL", concurrency: 1}}
nodes:
  mood: {kind: batch, items: "{{ reviews }}", item: "{{ item.text }}", instruction: "How was it?",
    labels: [good, bad], batch_size: 4, votes: 3, seed: 2}
outputs: {mood: "{{ mood }}"}
"""


def test_killed_in_the_middle_of_round_two(
    laconic: Callable[..., Result], here: Path, server, book: Callable[[], Ledger], start
) -> None:
    def reply(asked: str) -> str:
        lines = enumerate(asked.splitlines(), start=1)
        return "\n".join(f"{n}: {'bad' if line.endswith('review 3') else 'good'}" for n, line in lines)

    server.reply = reply
    items = [{"id": f"r{n}", "text": f"review {n}"} for n in range(12)]
    (here / "items.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items))
    (here / "moods.yaml").write_text(FLOW.replace("URL", server.url))
    server.hold_at = 5  # three batches: the second call of round two
    args = ("batch", "moods.yaml", "--data", "items.jsonl", "--out", "rows.jsonl")
    with start(*args) as process:
        server.wait_until_held()
        assert process.stderr.readline() == "mood: 4/12 items, 16 votes\n"
        process.kill()
        process.communicate(timeout=60)
    assert process.returncode == -9
    before, held = server.asked[:4], server.asked[4]
    assert json.loads(laconic("runs", "--json").stdout)[0]["status"] == "interrupted"
    server.open()
    server.asked.clear()

    result = laconic("batch", "--resume", "last", "--out", "rows.jsonl")

    assert result.exit_code == 0, result.stderr
    assert server.asked[0] == held
    assert len(server.asked) == 2, "the two calls of round two that had not finished; two equal votes of three decide"
    assert set(server.asked).isdisjoint(before)
    found = [json.loads(line) for line in (here / "rows.jsonl").read_text().splitlines()]
    assert [(row["id"], row["mood"]) for row in found] == [(f"r{n}", "bad" if n == 3 else "good") for n in range(12)]
    assert sum(row["tokens"] for row in found) == 6 * 15, "a share is what the item cost, whoever paid and when"
    resumed = json.loads(laconic("runs", "--json").stdout)[0]
    assert [call.status for call in book().select(run=resumed["run"]).calls].count("replayed") == 4
    assert (resumed["totals"]["total"], resumed["totals"]["avoided"]) == (30, 60)
