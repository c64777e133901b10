"""The cascade of text-to-SQL tiers on recorded calls of a real model: answers, tokens, and what was given up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from laconic import Flow, ModelSpec
from laconic.evals.sql_data import read_sql_items
from laconic.evals.sql_scorer import SpiderScorer
from laconic.workflows import folder

RECORDED = Path(__file__).resolve().parent.parent / "recorded"
ABOUT: dict[str, Any] = json.loads((RECORDED / "sql.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("id", ABOUT["outcomes"])
async def test_the_cascade_answers_as_it_did(id: str) -> None:
    recorded = ABOUT["outcomes"][id]
    replay = ModelSpec(backend="replay", model=ABOUT["model"], options={"store": str(RECORDED / "sql.jsonl")})
    flow = Flow.load(folder() / "sql" / "cascade.yaml").with_models({"large": replay})
    (item,) = (item for item in read_sql_items(folder() / "data" / "shop_questions.jsonl").items if item.id == id)
    inputs = {name: item.fields[name] for name in ("question", "evidence", "db_id")}
    result = await flow.run(inputs, item=id)
    result.raise_for_status()
    assert result.outputs["answer"] == recorded["answer"]
    assert (await SpiderScorer(folder() / "data").scores(item, result.outputs["answer"])).exact == recorded["right"]
    assert result.ledger.total().total == recorded["tokens"]
    assert result.ledger.total(status="discarded").total == recorded["discarded"]
    # What a tier that was given up had spent is its own, and no other's.
    tiers = [path for path in recorded["nodes"] if path in ("sql/basic", "sql/intermediate", "sql/advanced")]
    for tier in tiers[:-1]:
        assert set(result.ledger.by("status", under=tier)) == {"discarded"}
    assert "discarded" not in result.ledger.by("status", under=tiers[-1])


def test_some_were_given_up() -> None:
    """Otherwise the recording shows nothing of a cascade."""
    assert any(outcome["discarded"] for outcome in ABOUT["outcomes"].values())
    assert any(not outcome["discarded"] for outcome in ABOUT["outcomes"].values())
