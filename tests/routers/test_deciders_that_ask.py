"""Deciders that ask a model: what they ask, what they make of the answer, and what they do where it is no use."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from laconic.backends import Completion, Request, ScriptedBackend, TokenLogprob, Usage
from laconic.orchestrator import Flow, Result
from laconic.routers.calibration import Calibration

NAMES = ["basic", "middle", "advanced"]
DESCRIBE = {"basic": "one short query", "advanced": "many steps"}


async def routed(by: dict[str, Any], decides: Any, *, base: Path | None = None) -> tuple[Result, list[Request]]:
    """Run a route whose small model decides and whose large one answers with its prompt."""
    small = ScriptedBackend(decides)

    def echo(request: Request) -> str:
        assert request.messages is not None
        return request.messages[-1].content

    route = {"kind": "route", "tiers": NAMES, "question": "{{ question }}", "features": {"tables": "{{ 1 + 1 }}"}}
    flow = Flow(
        name="f",
        inputs={"question": "str"},
        models={role: {"backend": "scripted", "model": role} for role in ("small", "large")},
        nodes={
            **{name: {"kind": "prompt", "model": "large", "prompt": name} for name in NAMES},
            "answer": {**route, "by": {"model": "small", **by}},
        },
        outputs={"answer": "{{ answer }}"},
        base=base,
    )
    result = await flow.run(question="how many?", backends={"small": small, "large": ScriptedBackend(echo)})
    return result, small.requests


def notes(result: Result) -> str:
    return "\n".join(note for record in result.nodes for note in record.notes)


async def test_a_model_names_the_tier_in_json() -> None:
    result, (request,) = await routed({"kind": "llm", "describe": DESCRIBE}, '{"tier": "middle", "confidence": 0.8}')
    assert result.outputs == {"answer": "middle"}
    assert "middle (basic 0.10, middle 0.80, advanced 0.10)" in notes(result)
    assert request.messages is not None
    assert "basic: one short query\nmiddle\nadvanced: many steps" in request.messages[0].content
    assert request.messages[1].content == "Question: how many?\ntables: 2"
    assert request.schema is not None
    assert request.schema["properties"]["tier"]["enum"] == NAMES
    assert set(result.ledger.by("node", "purpose")) == {("answer/route", "route"), ("answer/middle", "answer")}


async def test_what_a_model_named_stays_the_likeliest_however_unsure_it_is() -> None:
    result, _ = await routed({"kind": "llm"}, '{"tier": "basic", "confidence": 0.1}')
    assert result.outputs == {"answer": "basic"}


@pytest.mark.parametrize(
    "said",
    [
        "middle",
        "",
        '{"tier": "middle"}',
        '{"tier": "cheap", "confidence": 1}',
        '{"tier": ["basic"], "confidence": 1}',
        '{"tier": "basic", "confidence": NaN}',
    ],
)
async def test_an_answer_that_is_no_use_takes_the_dearest(said: str) -> None:
    result, _ = await routed({"kind": "llm"}, said)
    assert result.outputs == {"answer": "advanced"}
    assert "advanced is taken, as the dearest" in notes(result)


def letters(**chances: float) -> Any:
    """A model whose first token is one of these with their probabilities."""
    top = tuple(sorted(((token, math.log(p)) for token, p in chances.items()), key=lambda pair: -pair[1]))

    def answer(request: Request) -> Completion:
        return Completion(text=top[0][0], usage=Usage(30, 1, 0, 0, 0), logprobs=(TokenLogprob(*top[0], None, top),))

    return answer


async def test_logprobs_of_the_letters_are_the_probabilities_of_the_tiers() -> None:
    result, (request,) = await routed({"kind": "logprob", "describe": DESCRIBE}, letters(A=0.2, B=0.5, C=0.3))
    assert result.outputs == {"answer": "middle"}
    assert "middle (basic 0.20, middle 0.50, advanced 0.30)" in notes(result)
    assert request.messages is not None
    assert "A: one short query\nB: middle\nC: many steps" in request.messages[0].content
    assert result.ledger.total(purpose="route").completion == 1


async def test_a_model_that_sees_only_letters_is_averaged_out() -> None:
    result, requests = await routed({"kind": "logprob", "permutations": 3}, letters(A=0.9, B=0.06, C=0.04))
    assert len(requests) == 3
    assert "basic 0.33, middle 0.33, advanced 0.33" in notes(result)


async def test_a_model_that_names_no_tier_takes_the_dearest() -> None:
    result, _ = await routed({"kind": "logprob"}, letters(The=0.98, A=0.02))
    assert result.outputs == {"answer": "advanced"}
    assert "the model small named no tier ('The')" in notes(result)


async def test_a_calibration_beside_the_flow_changes_the_decision(tmp_path: Path) -> None:
    Calibration(bias={"basic": 0.0, "middle": -3.0, "advanced": 0.0}).save(tmp_path / "c.json")
    by = {"kind": "logprob", "calibration": "c.json"}
    result, _ = await routed(by, letters(A=0.3, B=0.5, C=0.2), base=tmp_path)
    assert result.outputs == {"answer": "basic"}


async def test_a_calibration_of_other_tiers_fails_before_a_tier_runs(tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text(json.dumps({"bias": {"yes": 0, "no": 0}}))
    result, requests = await routed({"kind": "logprob", "calibration": "c.json"}, "A", base=tmp_path)
    assert result.status == "failed"
    assert "fitted for yes, no, not for basic, middle, advanced" in str(result.error)
    assert not requests
