"""Record the model calls that the notebooks replay: `python notebooks/record.py [NOTEBOOK ...]` (a real model, minutes).

Each notebook's questions are answered once by each of its flows; the answers go to `recorded/NOTEBOOK.jsonl` as
`{key, request, completion}` lines, and what answered, and when, to `recorded/NOTEBOOK.json`. Until then they are in
`build/recording/NOTEBOOK.db`: a recording that was broken off goes on where it was.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from laconic import Flow, Runtime, Store
from laconic.accounting.database import Database
from laconic.backends import catalogue
from laconic.evals.answering import unserved
from laconic.evals.data import read_items
from laconic.workflows import folder

HERE = Path(__file__).resolve().parent
Asked = Iterator[tuple[Flow, dict[str, Any]]]
"""Flows, and what each is asked."""


def questions() -> Asked:
    """Eight multi-hop questions, in three ways."""
    for method in ("direct", "react", "rewoo"):
        flow = Flow.load(folder() / f"{method}.yaml")
        for item in read_items(folder() / "data" / "questions.jsonl", 8).items:
            yield flow, {"question": item.fields["question"]}


def messages() -> Asked:
    """The first 40 messages, in batches of different sizes; the first of three rounds is also that of one."""
    items = [item.fields for item in read_items(folder() / "data" / "support_messages.jsonl", 40).items]
    for size, votes in ((1, 1), (8, 3), (16, 3), (32, 1), (4, 1)):
        changes = {"nodes.topics.batch_size": size, "nodes.topics.votes": votes}
        yield Flow.load(folder() / "classify_batch.yaml", changes), {"items": items}


TALKS: dict[str, Any] = {
    "questions": 4,
    "protocols": ["plain", "concise", "json", "autoform"],
    "changes": {"nodes.team.max_turns": 6, "nodes.team.max_tokens": 120},
}
"""What two agents are asked, and in which forms; the notebook reads it beside the recording."""


def conversations() -> Asked:
    """The first questions that two agents share, in different forms."""
    for protocol in TALKS["protocols"]:
        flow = Flow.load(folder() / "team" / "split_qa.yaml", {"nodes.team.protocol": protocol, **TALKS["changes"]})
        for item in read_items(folder() / "data" / "split_questions.jsonl", TALKS["questions"]).items:
            yield flow, {name: item.fields[name] for name in ("question", "left", "right")}


NOTEBOOKS: dict[str, Callable[[], Asked]] = {
    "01_rewoo_vs_react": questions,
    "04_batching": messages,
    "05_protocols": conversations,
}
MORE: dict[str, dict[str, Any]] = {"05_protocols": TALKS}
"""What else is kept beside a recording."""


async def record(notebook: str) -> None:
    """Answer a notebook's questions with the flows' own model and keep every answer."""
    with Database(HERE.parent / "build" / "recording" / f"{notebook}.db") as database:
        store = Store(database)
        async with Runtime(store=store, reuse=True) as runtime:
            for flow, inputs in NOTEBOOKS[notebook]():
                result = await flow.run(inputs, runtime=runtime)
                print(flow.name, result.outputs, result.ledger.total().show("total"), "tokens", flush=True)
                # Agents that come to no answer are a result, a server that does not answer is none.
                if unserved(result.error):
                    result.raise_for_status()
        calls = store.export(HERE / "recorded" / f"{notebook}.jsonl")
    known = catalogue.entry(flow.models["large"].model)
    about = {
        "model": known.name,
        "sha256": known.sha256,
        "server": "llama.cpp",
        "date": time.strftime("%Y-%m-%d"),
        "command": f"python notebooks/record.py {notebook}",
        "calls": calls,
        **MORE.get(notebook, {}),
    }
    (HERE / "recorded" / f"{notebook}.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    for name in sys.argv[1:] or NOTEBOOKS:
        asyncio.run(record(name))
