"""Cascade: the first answer that passes is taken, what was rejected is discarded, and faults end it well."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest
from pydantic import BaseModel

from laconic.backends import Completion, Request, ScriptedBackend, TokenLogprob, Usage
from laconic.errors import BadRequest, FlowError, ReplayMiss, ToolError
from laconic.orchestrator import Context, Flow, Result, Runtime, Tool, tool


@tool("test_table")
class Table(Tool):
    """Knows the rows of some queries and fails for others."""

    class Arguments(BaseModel):
        query: str
        database: str = ""

    known: dict[str, list[list[Any]]]

    async def call(self, ctx: Context, args: Arguments) -> dict[str, Any]:
        if args.query + args.database not in self.known:
            raise ToolError(f"no such table: {args.query}")
        return {"columns": ["x"], "rows": self.known[args.query + args.database], "more": False}


async def cascade(
    accept: Any,
    answers: dict[str, Any],
    *,
    judge: Any = "A",
    tools: dict[str, Any] | None = None,
    tier: dict[str, Any] | None = None,
    budget: dict[str, Any] | None = None,
    each: dict[str, dict[str, Any]] | None = None,
    **more: Any,
) -> Result:
    """Run a cascade whose tiers answer as they are told; a list is answered one by one, an error is raised."""
    left = {name: iter(answer) if isinstance(answer, list) else None for name, answer in answers.items()}

    def answering(request: Request) -> str:
        assert request.messages is not None
        name = request.messages[-1].content.split(":")[0]
        queue = left[name]
        answer = answers[name] if queue is None else next(queue)
        if isinstance(answer, Exception):
            raise answer
        return str(answer)

    nodes = {
        name: {
            "kind": "prompt",
            "model": "tiers",
            "prompt": name + ": {{ question }}",
            **(tier or {}),
            **(each or {}).get(name, {}),
        }
        for name in answers
    }
    flow = Flow(
        name="f",
        inputs={"question": "str"},
        models={role: {"backend": "scripted", "model": role, "retries": 0} for role in ("tiers", "judge")},
        tools=tools or {},
        nodes={
            **nodes,
            "answer": {
                "kind": "cascade",
                "tiers": list(answers),
                "question": "{{ question }}",
                "accept": accept,
                **more,
            },
        },
        outputs={"answer": "{{ answer }}"},
        budget=budget,
    )
    backends = {"tiers": ScriptedBackend(answering), "judge": ScriptedBackend(judge)}
    async with Runtime(backends=backends) as runtime:
        result = await flow.run(question="why?", runtime=runtime)
        for role, backend in backends.items():
            total = result.ledger.total(model=role)
            counters = await backend.counters()
            assert (total.prompt, total.completion) == (counters.prompt, counters.generated), (
                "not every token has an owner"
            )
    return result


def made(nodes: dict[str, Any]) -> Flow:
    models = {"m": {"backend": "scripted", "model": "m"}}
    return Flow(name="f", models=models, nodes=nodes, outputs={"a": "{{ answer }}"})


def calls(result: Result) -> list[tuple[str, str]]:
    return [(call.node, call.status) for call in result.ledger.calls]


def notes(result: Result) -> str:
    return "\n".join(note for record in result.nodes if record.path == "answer" for note in record.notes)


SHORT = {"kind": "expression", "that": "answer | length < 10"}


async def test_the_first_answer_that_passes_is_taken() -> None:
    result = await cascade(SHORT, {"basic": "a long answer to it", "middle": "short", "advanced": "dear"})
    assert result.outputs == {"answer": "short"}
    assert calls(result) == [("answer/basic", "discarded"), ("answer/middle", "ok")]
    assert "rejected: the answer of basic does not meet `answer | length < 10`" in notes(result)
    spent = result.ledger.by("status")
    assert spent["discarded"].total + spent["ok"].total == result.ledger.total().total


async def test_the_last_tier_is_taken_unchecked() -> None:
    result = await cascade(SHORT, {"basic": "a long answer to it", "advanced": "an answer that is even longer"})
    assert result.outputs == {"answer": "an answer that is even longer"}
    assert [record.path for record in result.nodes] == [
        "answer",
        "answer/basic",
        "answer/check-basic",
        "answer/advanced",
    ]


DB = {"db": {"kind": "test_table", "known": {"SELECT 1": [[1]], "SELECT 0": [], "SELECT 1shop": [[1]]}}}


@pytest.mark.parametrize(
    ("accept", "taken", "why"),
    [
        ({"kind": "executes", "tool": "db"}, "SELECT 0", "does not run: no such table: SELECT x"),
        ({"kind": "executes", "tool": "db", "nonempty": True}, "SELECT 1", "runs, but gives nothing"),
    ],
)
async def test_an_answer_is_taken_if_it_runs(accept: dict[str, Any], taken: str, why: str) -> None:
    answers = {"basic": "SELECT x", "middle": "SELECT 0", "advanced": "SELECT 1"}
    result = await cascade(accept, answers, tools=DB)
    assert result.outputs == {"answer": taken}
    assert why in notes(result)


async def test_arguments_of_a_tool_mention_the_answer_and_what_else_is_there() -> None:
    args = {"query": "{{ answer }}", "database": "{{ question | replace('why?', 'shop') }}"}
    result = await cascade(
        {"kind": "executes", "tool": "db", "args": args},
        {"basic": "SELECT 0", "middle": "SELECT 1", "advanced": "x"},
        tools=DB,
    )
    assert result.outputs == {"answer": "SELECT 1"}


@pytest.mark.parametrize(
    ("answer", "taken"),
    [
        ('{"n": 1}', True),
        ('```json\n{"n": 1}\n```', True),
        ('{"n": "1"}', False),
        ("{}", False),
        ("one", False),
        ("[" * 100_000, False),
    ],
)
async def test_an_answer_is_taken_if_it_is_as_the_schema_says(answer: str, taken: bool) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    result = await cascade(
        {"kind": "schema", "schema": schema}, {"basic": answer, "advanced": "dear"}, tier={"max_tokens": 3000}
    )
    assert (result.outputs["answer"] == answer) is taken


def judging(right: float) -> Any:
    """A judge that finds an answer right with that probability, whatever letter stands for it."""

    def judge(request: Request) -> Completion:
        assert request.messages is not None
        first = request.messages[0].content.splitlines()[1]
        a = right if first == "A: the answer is right" else 1 - right
        top = tuple(sorted((("A", math.log(a)), ("B", math.log(1 - a))), key=lambda pair: -pair[1]))
        return Completion(text=top[0][0], usage=Usage(30, 1, 0, 0, 0), logprobs=(TokenLogprob(*top[0], None, top),))

    return judge


@pytest.mark.parametrize(("right", "taken"), [(0.8, "cheap"), (0.6, "dear")])
async def test_a_verifier_says_how_likely_the_answer_is_right(right: float, taken: str) -> None:
    accept = {"kind": "verifier", "model": "judge", "least": 0.7}
    result = await cascade(accept, {"basic": "cheap", "advanced": "dear"}, judge=judging(right))
    assert result.outputs == {"answer": taken}
    assert f"is right with probability {right:.2f}" in notes(result)
    # The verdict was used, whatever it was.
    assert result.ledger.total(purpose="judge", status="ok").calls == 2
    assert set(result.ledger.select(purpose="judge").by("node")) == {"answer/check-basic"}


async def test_a_judge_that_says_neither_accepts_nothing() -> None:
    accept = {"kind": "verifier", "model": "judge"}
    result = await cascade(accept, {"basic": "cheap", "advanced": "dear"}, judge="Well")
    assert result.outputs == {"answer": "dear"}
    assert "named neither option" in notes(result)


def sure(*probabilities: float) -> Any:
    """A model whose tokens have these probabilities."""

    def answer(request: Request) -> Completion:
        tokens = tuple(TokenLogprob("x", math.log(probability)) for probability in probabilities)
        shown = None if request.logprobs is None else tokens
        return Completion(text="cheap", usage=Usage(20, len(tokens), 0, 0, 0), logprobs=shown)

    return answer


@pytest.mark.parametrize(
    ("bounds", "taken"),
    [
        ({"mean": 0.55}, "cheap"),
        ({"mean": 0.65}, "dear"),
        ({"least": 0.35}, "cheap"),
        ({"mean": 0.55, "least": 0.5}, "dear"),
    ],
)
async def test_an_answer_is_taken_if_its_tokens_were_likely(bounds: dict[str, float], taken: str) -> None:
    nodes = {
        "thought": {"kind": "prompt", "model": "m", "prompt": "x"},
        "inner": {"kind": "prompt", "model": "n", "prompt": "y"},
    }
    inner = {"name": "inner", "models": {"n": {"backend": "scripted", "model": "n"}}, "nodes": nodes}
    # The tier is a flow: what is asked anywhere below it is heard.
    inner = {
        **inner,
        "models": {role: {"backend": "scripted", "model": role} for role in "mn"},
        "outputs": {"o": "{{ inner }}"},
    }
    made_of = {
        "basic": {"kind": "flow", "flow": inner},
        "advanced": {"kind": "prompt", "model": "dear", "prompt": "x"},
        "answer": {"kind": "cascade", "tiers": ["basic", "advanced"], "accept": {"kind": "logprob", **bounds}},
    }
    flow = Flow(
        name="f",
        models={role: {"backend": "scripted", "model": role} for role in ("m", "n", "dear")},
        nodes=made_of,
        outputs={"a": "{{ answer.o or answer }}" if taken == "cheap" else "{{ answer }}"},
    )
    dear = ScriptedBackend("dear")
    result = await flow.run(backends={"m": ScriptedBackend(sure(0.9)), "n": ScriptedBackend(sure(0.4)), "dear": dear})
    assert result.outputs == {"a": taken}
    assert "has tokens of probability 0.60 on average, 0.40 at least" in notes(result)
    assert all(request.logprobs is None for request in dear.requests), "the last tier is not looked at"


async def test_an_answer_without_logprobs_is_not_taken_for_a_likely_one() -> None:
    flow = made(
        {
            **{name: {"kind": "prompt", "model": "m", "prompt": name} for name in ("basic", "advanced")},
            "answer": {"kind": "cascade", "tiers": ["basic", "advanced"], "accept": {"kind": "logprob", "mean": 0.1}},
        }
    )
    bare = ScriptedBackend(lambda request: Completion(text="x", usage=Usage(20, 1, 0, 0, 0)))
    result = await flow.run(backends={"m": bare})
    assert "came without logprobs" in notes(result)
    assert calls(result) == [("answer/basic", "discarded"), ("answer/advanced", "ok")]


DRAWS = {"temperature": 0.7}


@pytest.mark.parametrize(
    ("samples", "taken", "asked"),
    [
        (["7", "7.0"], "7", 2),
        (["7", "8", "7"], "7", 3),
        (["7", "8", "9"], "dear", 3),
        (["7", BadRequest("no"), "7"], "7", 3),
    ],
)
async def test_an_answer_is_taken_if_the_tier_gives_it_again(samples: list[Any], taken: str, asked: int) -> None:
    result = await cascade({"kind": "agrees", "samples": 3}, {"basic": samples, "advanced": "dear"}, tier=DRAWS)
    assert result.outputs == {"answer": taken}
    of_basic = [(node, status) for node, status in calls(result) if "basic" in node]
    assert len(of_basic) == asked
    used = [status for _, status in of_basic if status == "ok"]
    assert len(used) == (2 if taken == "7" else 0)


async def test_samples_can_be_compared_by_what_a_tool_makes_of_them() -> None:
    known = {"SELECT 1": [[1]], "SELECT 2-1": [[1]], "SELECT 2": [[2]]}
    tools = {"db": {"kind": "test_table", "known": known}}
    accept = {"kind": "agrees", "samples": 2, "share": 1, "tool": "db"}
    same = await cascade(accept, {"basic": ["SELECT 1", "SELECT 2-1"], "advanced": "dear"}, tools=tools, tier=DRAWS)
    assert same.outputs == {"answer": "SELECT 1"}
    other = await cascade(accept, {"basic": ["SELECT 1", "SELECT 2"], "advanced": "dear"}, tools=tools, tier=DRAWS)
    assert other.outputs == {"answer": "dear"}


async def test_checks_are_tried_in_order_and_all_must_pass() -> None:
    accept = [SHORT, {"kind": "verifier", "model": "judge"}]
    result = await cascade(
        accept, {"basic": "a long answer to it", "middle": "short", "advanced": "x"}, judge=judging(0.9)
    )
    assert result.outputs == {"answer": "short"}
    assert set(result.ledger.select(purpose="judge").by("node")) == {"answer/check-middle"}


async def test_a_tier_that_fails_is_as_one_that_was_rejected() -> None:
    result = await cascade(SHORT, {"basic": BadRequest("refused"), "middle": "fine", "advanced": "x"})
    assert result.outputs == {"answer": "fine"}
    assert calls(result) == [("answer/basic", "failed"), ("answer/middle", "ok")]
    assert "basic failed: refused" in notes(result)


async def test_where_every_tier_fails_the_last_one_says_why() -> None:
    result = await cascade(SHORT, {"basic": BadRequest("one"), "advanced": BadRequest("two")})
    assert result.status == "failed"
    assert str(result.error) == "two"


async def test_a_rejected_answer_is_better_than_none() -> None:
    result = await cascade(SHORT, {"basic": "a long answer to it", "advanced": BadRequest("gone")})
    assert result.outputs == {"answer": "a long answer to it"}
    assert calls(result) == [("answer/basic", "ok"), ("answer/advanced", "failed")]
    assert "no answer was accepted; that of basic is taken" in notes(result)


async def test_a_tier_that_gives_nothing_is_rejected() -> None:
    result = await cascade(SHORT, {"basic": "x", "advanced": "dear"}, each={"basic": {"when": "{{ false }}"}})
    assert result.outputs == {"answer": "dear"}
    assert "basic failed: it gave nothing" in notes(result)


async def test_a_tier_that_takes_too_long_is_broken_off_and_its_tokens_are_booked() -> None:
    reached = asyncio.Event()

    async def answering(request: Request) -> str:
        assert request.messages is not None
        if request.messages[-1].content == "basic":
            reached.set()
            await asyncio.Event().wait()
        return "fine"

    nodes = {
        "basic": {"kind": "prompt", "model": "m", "prompt": "basic", "timeout": 0.05},
        "advanced": {"kind": "prompt", "model": "m", "prompt": "advanced"},
        "answer": {"kind": "cascade", "tiers": ["basic", "advanced"], "accept": SHORT},
    }
    flow = made(nodes)
    result = await flow.run(backends={"m": ScriptedBackend(answering)})
    assert reached.is_set()
    assert result.outputs == {"a": "fine"}
    assert calls(result) == [("answer/basic", "aborted"), ("answer/advanced", "ok")]


async def test_a_budget_that_ends_leaves_the_rejected_answer() -> None:
    answers = {"basic": "a long answer to it", "middle": "another that is long", "advanced": "dear"}
    result = await cascade(SHORT, answers, budget={"calls": 2}, tier={"max_tokens": 20})
    assert result.status == "ok"
    assert result.outputs == {"answer": "another that is long"}
    assert calls(result) == [("answer/basic", "discarded"), ("answer/middle", "ok")]
    assert "2 calls; 2 are spent" in notes(result)


async def test_a_budget_that_ends_before_the_check_leaves_the_answer_unchecked() -> None:
    accept = {"kind": "verifier", "model": "judge"}
    result = await cascade(accept, {"basic": "cheap", "advanced": "dear"}, budget={"calls": 1})
    assert result.outputs == {"answer": "cheap"}
    assert "the answer of basic could not be checked: the budget" in notes(result)
    assert calls(result) == [("answer/basic", "ok")]


async def test_after_the_wall_nothing_dearer_begins_with_the_little_that_is_left() -> None:
    # What is left would do for a token or two of `advanced`: an answer cut short, taken in place of a whole one.
    unchecked = await cascade(
        {"kind": "verifier", "model": "judge"}, {"basic": "cheap", "advanced": "dear"}, budget={"tokens": 50}
    )
    assert calls(unchecked) == [("answer/basic", "ok")]
    long = {"middle": {"prompt": "middle: " + "word " * 60}}
    answers = {"basic": "a long answer to it", "middle": "x", "advanced": "dear"}
    walled = await cascade(SHORT, answers, budget={"tokens": 70}, each=long)
    assert calls(walled) == [("answer/basic", "ok")]
    assert walled.outputs == {"answer": "a long answer to it"}


async def test_without_any_answer_the_budgets_end_is_the_runs() -> None:
    result = await cascade(SHORT, {"basic": "x", "advanced": "y"}, budget={"tokens": 5})
    assert result.status == "budget"
    assert not result.ledger.calls


async def test_the_own_wall_of_a_tier_ends_that_tier_alone() -> None:
    result = await cascade(SHORT, {"basic": "x", "advanced": "dear"}, each={"basic": {"budget": {"tokens": 5}}})
    assert result.outputs == {"answer": "dear"}


async def test_a_tier_that_cannot_fit_is_never_started() -> None:
    answers = {"basic": "a long answer to it", "middle": "mid", "advanced": "dear"}
    tokens = {"middle": 5000, "advanced": 6000}
    result = await cascade(SHORT, answers, budget={"tokens": 2000}, tier={"max_tokens": 30}, tokens=tokens)
    assert result.outputs == {"answer": "a long answer to it"}
    assert calls(result) == [("answer/basic", "ok")]
    assert "advanced was not started: it is expected to use 6,000 tokens" in notes(result)
    none = await cascade(SHORT, answers, budget={"tokens": 2000}, tokens={**tokens, "basic": 4000})
    assert none.status == "budget"
    assert "expected to use 4,000: none was started" in str(none.error)


async def test_a_cascade_that_is_cancelled_books_what_was_under_way() -> None:
    reached = asyncio.Event()

    async def answering(request: Request) -> str:
        assert request.messages is not None
        if request.messages[-1].content == "advanced":
            reached.set()
            await asyncio.Event().wait()
        return "a long answer to it"

    nodes = {
        **{name: {"kind": "prompt", "model": "m", "prompt": name} for name in ("basic", "advanced")},
        "answer": {"kind": "cascade", "tiers": ["basic", "advanced"], "accept": SHORT},
    }
    flow = made(nodes)
    async with Runtime(backends={"m": ScriptedBackend(answering)}) as runtime:
        task = asyncio.create_task(flow.run(runtime=runtime))
        await reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        booked = [(call.node, call.status) for call in runtime.ledger.calls]
    assert booked == [("answer/basic", "ok"), ("answer/advanced", "aborted")]


async def test_a_check_that_breaks_accepts_nothing() -> None:
    accept = {"kind": "expression", "that": "answer + 1 > 2"}
    result = await cascade(accept, {"basic": "x", "advanced": "dear"})
    assert result.outputs == {"answer": "dear"}
    assert "could not be checked: the template" in notes(result)


async def test_each_of_a_list_goes_down_the_cascade_by_itself() -> None:
    nodes = {
        **{name: {"kind": "prompt", "model": "m", "prompt": name + " {{ item }}"} for name in ("basic", "advanced")},
        "answer": {
            "kind": "cascade",
            "for_each": ["a", "b"],
            "tiers": ["basic", "advanced"],
            "accept": {"kind": "expression", "that": "item == 'a' and 'a' in answer"},
        },
    }
    flow = made(nodes)

    def echo(request: Request) -> str:
        assert request.messages is not None
        return request.messages[-1].content

    result = await flow.run(backends={"m": ScriptedBackend(echo)})
    assert result.outputs == {"a": ["basic a", "advanced b"]}


@pytest.mark.parametrize(
    ("accept", "message"),
    [
        ("exectes", "there is no check 'exectes'; did you mean 'executes'"),
        ([], "accept"),
        (3, "a check is written as its kind"),
        ({"kind": "executes", "tool": "bd"}, "has no tool 'bd'"),
        ({"kind": "verifier", "model": "jugde"}, "has no model 'jugde'"),
        ({"kind": "schema", "schema": {"type": "objekt"}}, "is no JSON Schema"),
        ({"kind": "expression", "that": "answer <"}, "does not parse"),
        ({"kind": "logprob"}, "say `mean`, `least` or both"),
        ({"kind": "expression", "that": "anwser == 1"}, "mentions 'anwser'"),
        ({"kind": "verifier", "model": "judge", "calibration": "gone.json"}, "gone.json' cannot be read"),
    ],
)
async def test_a_check_that_is_written_wrong_is_said_when_the_flow_is_read(accept: Any, message: str) -> None:
    with pytest.raises(FlowError, match=message):
        await cascade(accept, {"basic": "x", "advanced": "y"}, tools=DB)


def test_a_cascade_is_the_same_in_python_and_yaml() -> None:
    accept = [{"kind": "schema", "schema": {"type": "object"}}, SHORT]
    nodes = {
        "basic": {"kind": "prompt", "model": "m", "prompt": "x"},
        "answer": {"kind": "cascade", "tiers": ["basic", "m"], "accept": accept, "question": "why?"},
    }
    flow = made(nodes)
    assert Flow.parse(flow.dump()) == flow
    assert flow.written()["nodes"]["answer"]["accept"] == accept


async def test_what_a_tier_asks_for_each_of_a_list_is_discarded_with_it() -> None:
    """In a run without items the elements of a `for_each` are items of their own."""
    each = {"basic": {"for_each": [1, 2], "prompt": "basic: {{ item }}"}}
    never = {"kind": "expression", "that": "false"}
    result = await cascade(never, {"basic": "no", "advanced": "dear"}, each=each)
    assert sorted(calls(result)) == [
        ("answer/advanced", "ok"),
        ("answer/basic[0]", "discarded"),
        ("answer/basic[1]", "discarded"),
    ]


async def test_what_is_under_way_beside_it_keeps_no_tier_from_starting() -> None:
    """Reserved is not spent: for what others may leave over, the wall waits."""
    many: dict[str, Any] = {"for_each": [1, 2, 3], "tokens": {"basic": 50, "advanced": 50}}
    never = {"kind": "expression", "that": "false"}
    result = await cascade(never, {"basic": "no", "advanced": "dear"}, budget={"tokens": 3000}, **many)
    assert result.outputs == {"answer": ["dear"] * 3}


async def test_the_own_wall_of_a_check_rejects_the_answer_and_no_more() -> None:
    again = {"kind": "agrees", "samples": 2, "share": 1.0}
    each = {"basic": {"budget": {"calls": 1}}}
    walled = {"basic": {"for_each": ["x"], "prompt": "basic: {{ item }}{{ item }}", **each["basic"]}}
    result = await cascade(again, {"basic": "yes", "advanced": "dear"}, each=walled)
    assert result.status == "ok"
    flow_wide = await cascade(again, {"basic": "yes", "advanced": "dear"}, budget={"calls": 1})
    assert flow_wide.outputs == {"answer": "yes"}


async def test_a_replay_of_what_was_not_recorded_is_no_failure_of_a_tier() -> None:
    with pytest.raises(ReplayMiss):
        (await cascade(SHORT, {"basic": ReplayMiss("not recorded"), "advanced": "dear"})).raise_for_status()


async def test_the_answer_alone_may_be_all_the_arguments() -> None:
    check = {"kind": "executes", "tool": "db", "args": "{{ answer }}"}
    result = await cascade(check, {"basic": "SELECT 1", "advanced": "dear"}, tools=DB)
    assert result.outputs == {"answer": "SELECT 1"}
