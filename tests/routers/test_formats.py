"""Formats by name and by a decider, and consensus: agreement ends it early, disagreement goes on to a dear answer."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from laconic.backends import Request, ScriptedBackend
from laconic.errors import BadRequest, FlowError
from laconic.orchestrator import Flow, Result, Runtime
from laconic.routers.formats import FORMATS

FORTY_TWO = "```python\nx = 6 * 7\nprint(x)\n```"


def format_of(request: Request) -> str:
    assert request.messages is not None
    system = request.messages[0].content
    return next((name for name, style in FORMATS.items() if style.instruction == system), "other")


async def asked(node: dict[str, Any], answers: dict[str, Any], **more: Any) -> Result:
    """Run one node; the model answers by format: a text, an error, or an event that it sets before it waits."""

    async def answering(request: Request) -> str:
        answer = answers[format_of(request)]
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, asyncio.Event):
            answer.set()
            await asyncio.Event().wait()
        return str(answer)

    backend = ScriptedBackend(answering)
    async with Runtime(backends={"large": backend, "small": ScriptedBackend("short")}) as runtime:
        result = await flow_of(node, **more).run(question="What is 6 times 7?", runtime=runtime)
        total, counters = result.ledger.total(model="large"), await backend.counters()
        assert total.prompt == counters.prompt
    return result


def flow_of(node: dict[str, Any], *, nodes: dict[str, Any] | None = None, **more: Any) -> Flow:
    return Flow(
        name="f",
        inputs={"question": "str"},
        models={role: {"backend": "scripted", "model": role, "retries": 0} for role in ("large", "small")},
        nodes={**(nodes or {}), "answer": {"question": "{{ question }}", **node}},
        outputs={"answer": "{{ answer }}"},
        **more,
    )


def calls(result: Result) -> dict[str, str]:
    return {call.node.removeprefix("answer/"): call.status for call in result.ledger.calls}


def notes(result: Result) -> str:
    return "\n".join(note for record in result.nodes for note in record.notes)


@pytest.mark.parametrize(
    ("format", "said"),
    [
        ("direct", "42."),
        ("short", "Six sevens.\nAnswer: 42"),
        ("code", FORTY_TWO),
        ("code", "6 * 7"),
        ("code", "```\nprint('so:')\nprint(42)\n```\nThat prints it."),
        ("long", "First ...\n**Answer:** 42"),
    ],
)
async def test_the_short_answer_is_read_from_each_format(format: str, said: str) -> None:
    result = await asked({"kind": "format", "format": format}, {format: said})
    assert result.outputs == {"answer": "42"}
    assert calls(result) == {"answer": "ok"}


async def test_a_decider_chooses_among_formats_as_among_tiers() -> None:
    by = {"kind": "rules", "rules": [{"when": "'times' in question", "tier": "code"}], "otherwise": "direct"}
    result = await asked({"kind": "format", "by": by}, {"code": FORTY_TWO})
    assert result.outputs == {"answer": "42"}
    assert calls(result) == {"code": "ok"}


async def test_code_that_fails_gives_way_to_the_dearer_format() -> None:
    by = {"kind": "always", "tier": "code"}
    result = await asked({"kind": "format", "by": by}, {"code": "print(1 / 0)", "long": "Answer: 42"})
    assert result.outputs == {"answer": "42"}
    assert calls(result) == {"code": "discarded", "long": "ok"}
    assert "ZeroDivisionError" in notes(result)


@pytest.mark.parametrize(
    ("node", "message"),
    [
        ({"format": "shrt"}, "format"),
        ({"tiers": ["direct", "verse"]}, "tiers"),
        ({"by": "guess"}, "no decider 'guess'"),
    ],
)
def test_a_format_that_there_is_not_is_said(node: dict[str, Any], message: str) -> None:
    with pytest.raises(FlowError, match=message):
        flow_of({"kind": "format", **node})


CONSENSUS = {"kind": "consensus"}


async def test_two_that_agree_end_the_third_and_it_is_booked() -> None:
    under_way = asyncio.Event()
    result = await asked(CONSENSUS, {"direct": "42", "short": under_way, "code": FORTY_TWO})
    assert under_way.is_set()
    assert result.outputs == {"answer": "42"}
    assert calls(result) == {"direct": "ok", "short": "aborted", "code": "ok"}
    assert "direct, code agree on '42': 2 of 3 formats" in notes(result)


async def test_a_program_that_was_written_and_not_waited_for_is_discarded() -> None:
    forever = "while True: pass"
    result = await asked(CONSENSUS, {"direct": "42", "short": "Answer: 42", "code": forever})
    assert result.outputs == {"answer": "42"}
    assert calls(result) == {"direct": "ok", "short": "ok", "code": "discarded"}


async def test_who_is_outvoted_is_discarded() -> None:
    result = await asked(
        {**CONSENSUS, "formats": ["direct", "short"], "enough": 2}, {"direct": "1,200", "short": "Answer: $1200"}
    )
    assert result.outputs == {"answer": "1,200"}
    three = await asked(
        {**CONSENSUS, "formats": ["direct", "short", "code"]}, {"direct": "7", "short": "Answer: 42", "code": FORTY_TWO}
    )
    assert three.outputs == {"answer": "42"}
    assert calls(three) == {"direct": "discarded", "short": "ok", "code": "ok"}


async def test_three_answers_go_on_to_long_reasoning() -> None:
    answers = {"direct": "41", "short": "Answer: 40", "code": FORTY_TWO, "long": "Let me see.\nAnswer: 42"}
    result = await asked(CONSENSUS, answers)
    assert result.outputs == {"answer": "42"}
    assert calls(result) == {"direct": "discarded", "short": "discarded", "code": "discarded", "long": "ok"}
    assert "1 of 3 formats agree, 2 are needed; long was asked" in notes(result)
    spent = result.ledger.by("status")
    assert spent["discarded"].total + spent["ok"].total == result.ledger.total().total


async def test_it_can_escalate_to_a_model_or_a_node() -> None:
    answers = {"direct": "41", "short": "Answer: 40", "code": "print(39)"}
    model = await asked({**CONSENSUS, "escalate": "small"}, answers)
    assert model.outputs == {"answer": "short"}
    dear = {"dear": {"kind": "prompt", "model": "small", "prompt": "{{ question }}"}}
    node = await asked({**CONSENSUS, "escalate": "dear"}, answers, nodes=dear)
    assert calls(node)["dear"] == "ok"


async def test_a_format_that_fails_has_no_vote() -> None:
    result = await asked(CONSENSUS, {"direct": "42", "short": BadRequest("no"), "code": FORTY_TWO})
    assert result.outputs == {"answer": "42"}
    assert "short failed: no" in notes(result)


async def test_what_can_no_longer_agree_is_broken_off() -> None:
    under_way = asyncio.Event()
    answers = {"direct": BadRequest("no"), "short": BadRequest("no"), "code": under_way, "long": "Answer: 42"}
    result = await asked(CONSENSUS, answers)
    assert calls(result) == {"direct": "failed", "short": "failed", "code": "aborted", "long": "ok"}


async def test_a_budget_that_ends_before_the_escalation_leaves_an_answer() -> None:
    answers = {"direct": "41", "short": "Answer: 40", "code": FORTY_TWO, "long": "Answer: 43"}
    result = await asked(CONSENSUS, answers, budget={"calls": 3})
    assert result.status == "ok"
    assert result.outputs == {"answer": "42"}
    assert "the answer in the format code is taken" in notes(result)


async def test_without_any_answer_it_fails_as_the_escalation_did() -> None:
    result = await asked(CONSENSUS, dict.fromkeys(FORMATS, BadRequest("gone")))
    assert result.status == "failed"
    assert str(result.error) == "gone"


async def test_cancelled_it_leaves_nothing_under_way() -> None:
    reached = asyncio.Barrier(4)

    async def answering(request: Request) -> str:
        await reached.wait()
        await asyncio.Event().wait()
        return ""

    async with Runtime(backends={"large": ScriptedBackend(answering), "small": ScriptedBackend("")}) as runtime:
        task = asyncio.create_task(flow_of(CONSENSUS).run(question="why?", runtime=runtime))
        await reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert [call.status for call in runtime.ledger.calls] == ["aborted"] * 3


@pytest.mark.parametrize(
    ("node", "message"),
    [
        ({"formats": ["direct"]}, "formats"),
        ({"formats": ["direct", "direct"]}, "named twice"),
        ({"enough": 4}, "4 of 3 formats cannot agree"),
        ({"escalate": "code"}, "one of the formats"),
        ({"escalate": "lare"}, "did you mean 'large'"),
    ],
)
def test_a_consensus_that_cannot_be_is_said(node: dict[str, Any], message: str) -> None:
    with pytest.raises(FlowError, match=message):
        flow_of({**CONSENSUS, **node})


async def test_a_program_that_fails_had_been_written_for_nothing() -> None:
    broken = "```python\nraise SystemExit(1)\n```"
    answers = {"direct": "1", "short": "Answer: 2", "code": broken, "long": "Answer: 42"}
    result = await asked(CONSENSUS, answers)
    assert result.outputs == {"answer": "42"}
    assert calls(result) == {"direct": "discarded", "short": "discarded", "code": "discarded", "long": "ok"}


async def test_where_the_escalation_fails_only_the_answer_taken_was_used() -> None:
    answers = {"direct": "1", "short": "Answer: 2", "long": BadRequest("no")}
    result = await asked({**CONSENSUS, "formats": ["direct", "short"]}, answers)
    assert result.outputs == {"answer": "2"}
    assert calls(result) == {"direct": "discarded", "short": "ok", "long": "failed"}
