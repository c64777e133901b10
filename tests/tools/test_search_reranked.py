"""Search whose passages a model ranks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from laconic.backends import Completion, Request
from laconic.errors import BadRequest, FlowError
from laconic.orchestrator import Flow

from .judges import said, shown

BRIDGES = [{"title": f"Bridge {number}", "text": f"A bridge of {number} metres."} for number in range(1, 13)]


@pytest.fixture
def bridges(tmp_path: Path) -> dict[str, Any]:
    text = "".join(json.dumps(record) + "\n" for record in BRIDGES)
    (tmp_path / "bridges.jsonl").write_text(text, encoding="utf-8")
    return {"kind": "search", "corpus": "bridges.jsonl", "top": 2, "rerank": {"candidates": 10}}


def longest(request: Request) -> Completion:
    """A model that finds the longest bridge the best."""
    return said({letter: 10.0 ** int(text.split()[1][:-1]) for letter, text in shown(request).items()})


async def test_the_model_orders_what_bm25_finds(use: Any, bridges: dict[str, Any]) -> None:
    result = await use(bridges, "bridge", longest)
    assert result.outputs["said"] == "Bridge 10: A bridge of 10 metres.\nBridge 9: A bridge of 9 metres."
    (call,) = result.ledger.calls
    assert (call.node, call.purpose, call.usage.completion) == ("step", "rank", 1)


async def test_without_it_nothing_changes_and_nobody_is_asked(use: Any, bridges: dict[str, Any]) -> None:
    result = await use({**bridges, "rerank": None}, "bridge", longest)
    assert result.outputs["said"].startswith("Bridge 1: ")
    assert len(result.ledger.calls) == 0
    assert result.ledger.total().total == 0


async def test_its_options_are_those_of_a_ranking(use: Any, bridges: dict[str, Any]) -> None:
    rerank = {"model": "large", "candidates": 12, "window": 8, "step": 4, "permutations": 2, "max_chars": 30}
    result = await use({**bridges, "rerank": rerank}, "bridge", longest)
    assert result.outputs["said"].startswith("Bridge 12: ")
    assert len(result.ledger.calls) == 4


@pytest.mark.parametrize(
    ("query", "first"), [("zebra", "No evidence found."), ("7", "Bridge 7: A bridge of 7 metres.")]
)
async def test_where_there_is_no_choice_nobody_is_asked(
    use: Any, bridges: dict[str, Any], query: str, first: str
) -> None:
    result = await use(bridges, query, longest)
    assert result.outputs["said"] == first
    assert len(result.ledger.calls) == 0


async def test_a_model_that_fails_leaves_the_order_of_bm25_and_that_is_said(use: Any, bridges: dict[str, Any]) -> None:
    def failing(request: Request) -> Completion:
        raise BadRequest("no such field")

    result = await use(bridges, "bridge", failing)
    assert result.outputs["said"].startswith("Bridge 1: ")
    assert "the passages were not ranked by large: no such field" in result.explain()


async def test_the_wall_of_a_budget_is_not_evidence(use: Any, bridges: dict[str, Any]) -> None:
    assert (await use(bridges, "bridge", longest, budget={"tokens": 3})).status == "budget"


@pytest.mark.parametrize(
    ("rerank", "message"),
    [
        ({"model": "larg"}, "no model 'larg'; did you mean 'large'?"),
        ({"candidates": 5}, "rerank.candidates: 5 passages are fewer than the 9 of `top`"),
        ({"window": 40}, "less than or equal to 26"),
        ({"windows": 4}, "windows"),
    ],
)
def test_what_cannot_work_is_refused_when_the_flow_is_loaded(
    tmp_path: Path, bridges: dict[str, Any], rerank: dict[str, Any], message: str
) -> None:
    with pytest.raises(FlowError) as caught:
        Flow(
            name="one",
            models={"large": {"backend": "scripted", "model": "script"}},
            tools={"it": {**bridges, "top": 9, "rerank": rerank}},
            nodes={"step": {"kind": "tool", "tool": "it", "args": "x"}},
            base=tmp_path,
        )
    assert message in str(caught.value)
    assert caught.value.at[:2] == ("tools", "it")


def test_it_is_written_as_it_was_read(tmp_path: Path, bridges: dict[str, Any]) -> None:
    flow = Flow(
        name="one",
        models={"large": {"backend": "scripted", "model": "script"}},
        tools={"it": {**bridges, "rerank": {"model": "large", "candidates": 30, "permutations": 3}}},
        nodes={"step": {"kind": "tool", "tool": "it", "args": "x"}},
        base=tmp_path,
    )
    assert flow.written()["tools"]["it"]["rerank"] == {"candidates": 30, "permutations": 3}
    assert Flow.parse(flow.dump(), base=tmp_path) == flow
