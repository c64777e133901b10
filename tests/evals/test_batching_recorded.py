"""The sample of messages on recorded calls of a real model, as the notebook draws them: complete, and adding up."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from laconic import Flow, ModelSpec, Result
from laconic.evals.data import read_items
from laconic.planners.batch.answers import Answers
from laconic.workflows import folder

RECORDED = Path(__file__).resolve().parents[2] / "notebooks" / "recorded" / "04_batching.jsonl"
ABOUT: dict[str, Any] = json.loads(RECORDED.with_suffix(".json").read_text(encoding="utf-8"))
MESSAGES = [item.fields for item in read_items(folder() / "data" / "support_messages.jsonl", 40).items]


async def sorted_by(size: int, votes: int) -> Result:
    replay = ModelSpec(backend="replay", model=ABOUT["model"], options={"store": str(RECORDED)})
    changes = {"nodes.topics.batch_size": size, "nodes.topics.votes": votes}
    flow = Flow.load(folder() / "classify_batch.yaml", changes).with_models({"large": replay})
    result = await flow.run(items=MESSAGES)
    result.raise_for_status()
    return result


@pytest.mark.parametrize(("size", "votes"), [(1, 1), (4, 1), (8, 3), (16, 3), (32, 1)])
async def test_every_message_comes_to_its_answer_and_pays_its_share(size: int, votes: int) -> None:
    result = await sorted_by(size, votes)
    answers = result.outputs["topics"]
    assert isinstance(answers, Answers)
    assert len(answers) == len(MESSAGES)
    assert all((detail.answer is None) == (detail.by == "nobody") for detail in answers.details)
    assert max(detail.rounds for detail in answers.details) <= votes + 1
    assert sum(detail.share.total for detail in answers.details) == result.ledger.total().total


async def test_more_at_once_take_fewer_tokens() -> None:
    tokens = [(await sorted_by(size, 1)).ledger.total().total for size in (1, 4, 8, 16, 32)]
    assert all(more > fewer for more, fewer in pairwise(tokens))


async def test_three_rounds_begin_with_the_plain_batch() -> None:
    plain, voted = [(await sorted_by(8, votes)).ledger.calls for votes in (1, 3)]
    first = [call.usage for call in voted if call.node.endswith("/round-1")]
    assert first == [call.usage for call in plain if call.node.endswith("/round-1")]


def test_the_recording_is_small() -> None:
    assert RECORDED.stat().st_size < 1_500_000
