"""Record the calls that `tests/planners/test_sql_recorded.py` replays: `python tests/recorded/record_sql.py [SPEC]`.

A few of the sample's questions are answered once by `workflows/sql/cascade.yaml` with a real model; SPEC is that of
`laconic run --model large=SPEC`. The calls go to `sql.jsonl`, what answered them, and what came out, to `sql.json`.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path

from laconic import Flow, ModelSpec, Runtime, Store
from laconic.backends import catalogue
from laconic.evals.sql_data import read_sql_items
from laconic.evals.sql_scorer import SpiderScorer
from laconic.workflows import folder

HERE = Path(__file__).resolve().parent
IDS = ("shop-03", "shop-14", "shop-25", "shop-31")
"""Two simple and two moderate questions."""


async def record(spec: ModelSpec | None) -> None:
    flow = Flow.load(folder() / "sql" / "cascade.yaml")
    if spec is not None:
        flow = flow.with_models({"large": spec})
    scorer, store, outcomes = SpiderScorer(folder() / "data"), Store(), {}
    async with Runtime(store=store) as runtime:
        for item in read_sql_items(folder() / "data" / "shop_questions.jsonl").items:
            if item.id in IDS:
                inputs = {name: item.fields[name] for name in ("question", "evidence", "db_id")}
                result = await flow.run(inputs, item=item.id, runtime=runtime)
                scores = await scorer.scores(item, result.outputs["answer"])
                total = result.ledger.total()
                outcomes[item.id] = {
                    "answer": result.outputs["answer"],
                    "right": scores.exact,
                    "tokens": total.total,
                    "discarded": result.ledger.total(status="discarded").total,
                    "nodes": [record.path for record in result.nodes if record.path.startswith("sql/")],
                }
                print(item.id, outcomes[item.id], flush=True)
    known = catalogue.entry("qwen2.5-coder-1.5b-instruct")
    about = {
        "model": flow.models["large"].model,
        "weights": f"{known.name}, SHA-256 of the GGUF {known.sha256}",
        "backend": flow.models["large"].backend,
        "date": time.strftime("%Y-%m-%d"),
        "command": "python tests/recorded/record_sql.py" + (" SPEC" if spec is not None else ""),
        "calls": store.export(HERE / "sql.jsonl"),
        "outcomes": outcomes,
    }
    (HERE / "sql.json").write_text(json.dumps(about, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    asyncio.run(record(ModelSpec.parse(sys.argv[1]) if len(sys.argv) > 1 else None))
