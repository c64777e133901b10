"""Record the model calls that the notebooks replay: `python notebooks/record.py` (a real model, minutes).

Each notebook's questions are answered once by each of its flows; the answers go to `recorded/NOTEBOOK.jsonl` as
`{key, request, completion}` lines, and what answered, and when, to `recorded/NOTEBOOK.json`.
"""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

from laconic import Flow, Runtime, Store
from laconic.backends import catalogue
from laconic.evals.data import read_items
from laconic.workflows import folder

HERE = Path(__file__).resolve().parent
NOTEBOOKS = {"01_rewoo_vs_react": (("direct", "react", "rewoo"), 8)}
"""Notebook -> the flows it compares, and how many questions it asks."""


async def record(notebook: str) -> None:
    """Answer a notebook's questions with the flows' own model and keep every answer."""
    methods, number = NOTEBOOKS[notebook]
    store = Store()
    flows = [Flow.load(folder() / f"{method}.yaml") for method in methods]
    async with Runtime(store=store) as runtime:
        for flow in flows:
            for item in read_items(folder() / "data" / "questions.jsonl", number).items:
                result = await flow.run(question=item.fields["question"], item=item.id, runtime=runtime)
                print(flow.name, item.id, result.outputs, flush=True)
    known = catalogue.entry(flows[0].models["large"].model)
    about = {
        "model": known.name,
        "sha256": known.sha256,
        "server": "llama.cpp",
        "date": time.strftime("%Y-%m-%d"),
        "command": "python notebooks/record.py",
    }
    calls = store.export(HERE / "recorded" / f"{notebook}.jsonl")
    about["calls"] = calls
    (HERE / "recorded" / f"{notebook}.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    for name in NOTEBOOKS:
        asyncio.run(record(name))
