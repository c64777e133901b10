"""How a graph runs: order, failures, conditions, repetition, growth, cancellation."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from laconic.errors import BudgetExceeded, NodeError
from laconic.orchestrator import Context, Flow, Node, Runtime, kind


def echo(text: str, **more: Any) -> dict[str, Any]:
    return {"kind": "test_echo", "text": text, **more}


async def test_nodes_run_after_what_they_mention(flow, runtime) -> None:
    made = flow(
        {"c": echo("{{ b }}c"), "a": echo("{{ x }}a"), "b": echo("{{ a }}b")}, {"out": "{{ c }}"}, inputs={"x": "str"}
    )
    result = await made.run(x="x", runtime=runtime)
    assert result.outputs == {"out": "xabc"}
    assert [record.path for record in result.nodes] == ["a", "b", "c"]


async def test_a_ready_branch_never_waits_for_a_slow_sibling(flow, runtime, gates) -> None:
    # `slow` can only end after `behind_fast` ran: with a barrier between steps this would never end.
    made = flow(
        {
            "slow": {"kind": "test_gate", "gate": "a", "text": "slow"},
            "fast": echo("fast"),
            "behind_fast": {"kind": "test_open", "gate": "a", "text": "{{ fast }}"},
            "both": echo("{{ slow }} {{ behind_fast }}"),
        },
        {"out": "{{ both }}"},
    )
    async with asyncio.timeout(5):
        assert (await made.run(runtime=runtime)).outputs == {"out": "slow fast"}


async def test_a_failure_cancels_what_depends_on_it_and_nothing_else(flow, runtime) -> None:
    made = flow(
        {
            "bad": {"kind": "test_fail", "error": "no luck"},
            "behind": echo("{{ bad }}"),
            "far_behind": echo("{{ behind }} {{ good }}"),
            "good": echo("fine"),
            "after_good": echo("{{ good }}!"),
        },
        {"good": "{{ after_good }}", "bad": "{{ far_behind }}"},
    )
    result = await made.run(runtime=runtime)
    assert result.status == "failed"
    assert result.outputs == {"good": "fine!"}
    assert {record.path: record.status for record in result.nodes} == {
        "bad": "failed",
        "behind": "cancelled",
        "far_behind": "cancelled",
        "good": "ok",
        "after_good": "ok",
    }
    assert "no luck" in str(result.error)
    with pytest.raises(NodeError, match="no luck"):
        result.raise_for_status()


async def test_on_error_skips_or_replaces(flow, runtime) -> None:
    made = flow(
        {
            "gone": {"kind": "test_fail", "on_error": "skip"},
            "other": {"kind": "test_fail", "on_error": {"value": "instead of {{ x }}"}},
            "end": echo("{{ gone or 'nothing' }}, {{ other }}"),
        },
        {"out": "{{ end }}"},
        inputs={"x": "str"},
    )
    result = await made.run(x="it", runtime=runtime)
    assert result.status == "ok"
    assert result.outputs == {"out": "nothing, instead of it"}


async def test_when_decides_and_a_skipped_node_is_null(flow, runtime) -> None:
    made = flow(
        {"a": echo("yes"), "b": echo("b", when="{{ a == 'no' }}"), "c": echo("c", when="{{ a == 'yes' }}")},
        {"out": "{{ b or c }}", "b": "{{ b }}"},
    )
    result = await made.run(runtime=runtime)
    assert result.outputs == {"out": "c", "b": None}


async def test_retry_runs_again_until_it_works(flow, runtime) -> None:
    made = flow({"a": {"kind": "test_fail", "times": 2, "text": "ok", "retry": {"attempts": 3}}}, {"out": "{{ a }}"})
    assert (await made.run(runtime=runtime)).outputs == {"out": "ok"}
    made = flow({"a": {"kind": "test_fail", "times": 3, "text": "ok", "retry": {"attempts": 3}}}, {"out": "{{ a }}"})
    assert (await made.run(runtime=runtime)).status == "failed"


async def test_a_timeout_fails_the_node_and_says_so(flow, runtime, gates) -> None:
    made = flow({"a": {"kind": "test_gate", "gate": "a", "timeout": 0.01}})
    result = await made.run(runtime=runtime)
    assert result.status == "failed"
    assert "timeout of 0.01 s" in str(result.error)


async def test_seconds_of_a_budget_end_the_run_with_what_it_has(flow, runtime, gates) -> None:
    made = flow(
        {"quick": echo("done"), "stuck": {"kind": "test_gate", "gate": "a"}},
        {"quick": "{{ quick }}", "stuck": "{{ stuck }}"},
        budget={"seconds": 0.01},
    )
    result = await made.run(runtime=runtime)
    assert result.status == "budget"
    assert isinstance(result.error, BudgetExceeded)
    assert result.outputs == {"quick": "done"}
    assert result.error.partial is result


async def test_for_each_keeps_the_order_and_names_each_element(flow, runtime) -> None:
    made = flow(
        {"each": echo("{{ index }}:{{ item }}{{ x }}", for_each="{{ things }}")},
        {"out": "{{ each }}"},
        inputs={"things": "list", "x": "str"},
    )
    result = await made.run(things=["a", "b", "c"], x="!", runtime=runtime)
    assert result.outputs == {"out": ["0:a!", "1:b!", "2:c!"]}
    assert [record.path for record in result.nodes] == ["each", "each[0]", "each[1]", "each[2]"]


async def test_for_each_with_when_and_a_failing_element(flow, runtime) -> None:
    made = flow(
        {"each": echo("{{ 10 // item }}", for_each="{{ things }}", when="{{ item < 6 }}", on_error="skip")},
        {"out": "{{ each }}"},
        inputs={"things": "list"},
    )
    result = await made.run(things=[5, 0, 9, 2], runtime=runtime)
    assert result.outputs == {"out": [2, None, None, 5]}
    assert [record.status for record in result.nodes] == ["ok", "ok", "failed", "skipped", "ok"]


async def test_for_each_over_something_that_is_no_list_says_so(flow, runtime) -> None:
    made = flow({"each": echo("{{ item }}", for_each="{{ x }}")}, inputs={"x": "str"})
    result = await made.run(x="text", runtime=runtime)
    assert "for_each needs a list, not str" in str(result.error)


async def test_for_each_starts_no_more_than_its_concurrency(flow, runtime) -> None:
    under_way: list[int] = []
    most = 0

    @kind("test_crowd")
    class Crowd(Node):
        async def run(self, ctx: Context) -> Any:
            nonlocal most
            under_way.append(1)
            most = max(most, len(under_way))
            await asyncio.sleep(0)
            under_way.pop()

    await flow({"each": {"kind": "test_crowd", "for_each": list(range(50)), "concurrency": 7}}).run(runtime=runtime)
    assert most == 7


async def test_a_node_expands_into_a_graph_while_it_runs(flow, runtime) -> None:
    @kind("test_grow")
    class Grow(Node):
        async def run(self, ctx: Context) -> Any:
            from laconic.orchestrator import build_nodes

            steps = await ctx.expand(
                build_nodes({"one": echo("1"), "two": echo("2"), "sum": echo("{{ one }}+{{ two }}+{{ outside }}")})
            )
            return steps["sum"]

    made = flow({"outside": echo("0"), "grow": {"kind": "test_grow", "when": "{{ outside }}"}}, {"out": "{{ grow }}"})
    result = await made.run(runtime=runtime)
    assert result.outputs == {"out": "1+2+0"}
    assert {record.path for record in result.nodes} == {"outside", "grow", "grow/one", "grow/two", "grow/sum"}


async def test_a_failure_inside_an_expansion_fails_its_parent(flow, runtime) -> None:
    @kind("test_grow_badly")
    class GrowBadly(Node):
        async def run(self, ctx: Context) -> Any:
            from laconic.orchestrator import build_nodes

            return await ctx.expand(build_nodes({"bad": {"kind": "test_fail"}, "after": echo("{{ bad }}")}))

    result = await flow({"grow": {"kind": "test_grow_badly"}}).run(runtime=runtime)
    assert {record.path: record.status for record in result.nodes} == {
        "grow": "failed",
        "grow/bad": "failed",
        "grow/after": "cancelled",
    }


async def test_cancelling_a_run_cancels_every_node(flow, runtime, gates) -> None:
    made = flow({"a": {"kind": "test_gate", "gate": "a"}, "b": {"kind": "test_gate", "gate": "b"}})
    started = asyncio.Event()
    seen: list[Any] = []

    def watch(event: Any) -> None:
        seen.append(event)
        if len(seen) == 2:
            started.set()

    task = asyncio.create_task(made.run(runtime=runtime, on_event=watch))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sorted((type(event).__name__, event.path) for event in seen) == [
        ("NodeFinished", "a"),
        ("NodeFinished", "b"),
        ("NodeStarted", "a"),
        ("NodeStarted", "b"),
    ]


async def test_a_kind_that_raises_anything_is_a_failed_node_with_its_path(flow, runtime) -> None:
    result = await flow({"a": {"kind": "test_fail", "error": "oops"}}).run(runtime=runtime)
    assert isinstance(result.error, NodeError)
    assert result.error.path == "a"
    assert str(result.error) == "the node a failed: ValueError: oops"


async def test_a_long_chain_and_a_wide_fan_need_no_stack(flow) -> None:
    from laconic.backends import NoopBackend

    nodes = {"n0": echo("0"), **{f"n{i}": echo(f"{{{{ n{i - 1} }}}}") for i in range(1, 3000)}}
    async with Runtime(backends={"large": NoopBackend()}) as runtime:
        assert (await flow(nodes, {"out": "{{ n2999 }}"}).run(runtime=runtime)).outputs == {"out": "0"}


async def test_an_error_is_not_its_own_cause() -> None:
    """Whoever follows the causes of a failure comes to an end."""
    failing = {"kind": "tool", "tool": "calculator", "args": {"expression": "1 +"}}
    result = await Flow(name="f", tools={"calculator": {"kind": "calculator"}}, nodes={"sum": failing}).run()
    error: BaseException | None = result.error
    causes = []
    while error is not None:
        assert error not in causes
        causes.append(error)
        error = error.__cause__
    assert causes
