"""The shapes in pydantic-graph: `GraphBuilder`, built once, `map` and a join for the fan-out."""
# mypy: disable-error-code="import-not-found"
# (it is installed for benchmarks only, and lint runs without it)

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from pydantic_graph import GraphBuilder, StepContext, reduce_list_append
from shapes import FAST, LONG, RUNS, SHORT, SLOW, WIDE

Run = Callable[[], Awaitable[int]]


async def step(ctx: StepContext[None, None, int]) -> int:
    await asyncio.sleep(0)
    return int(ctx.inputs) + 1


def line(length: int) -> Any:
    builder = GraphBuilder(input_type=int, output_type=int)
    before: Any = builder.start_node
    for place in range(length):
        node = builder.step(step, node_id=f"n{place}")
        builder.add(builder.edge_from(before).to(node))
        before = node
    builder.add(builder.edge_from(before).to(builder.end_node))
    return builder.build()


def chain() -> Run:
    graph = line(LONG)

    async def run() -> int:
        return int(await graph.run(inputs=0))

    return run


def fan_out() -> Run:
    async def source(ctx: StepContext[None, None, None]) -> list[int]:
        await asyncio.sleep(0)
        return list(range(WIDE))

    async def total(ctx: StepContext[None, None, list[int]]) -> int:
        await asyncio.sleep(0)
        return sum(ctx.inputs)

    builder = GraphBuilder(output_type=int)
    first, each, last = (builder.step(function) for function in (source, step, total))
    join = builder.join(reduce_list_append, initial_factory=list[int])
    builder.add(
        builder.edge_from(builder.start_node).to(first),
        builder.edge_from(first).map().to(each),
        builder.edge_from(each).to(join),
        builder.edge_from(join).to(last),
        builder.edge_from(last).to(builder.end_node),
    )
    graph = builder.build()

    async def run() -> int:
        return int(await graph.run())

    return run


def many_runs() -> Run:
    graph = line(SHORT)

    async def run() -> int:
        return sum(await asyncio.gather(*(graph.run(inputs=start) for start in range(RUNS))))

    return run


def branches() -> Run:
    def wait(seconds: float) -> Callable[[StepContext[None, None, int]], Awaitable[int]]:
        async def node(ctx: StepContext[None, None, int]) -> int:
            await asyncio.sleep(seconds)
            return int(ctx.inputs) + 1

        return node

    async def total(ctx: StepContext[None, None, list[int]]) -> int:
        return sum(ctx.inputs)

    builder = GraphBuilder(input_type=int, output_type=int)
    a1, a2 = builder.step(wait(SLOW), node_id="a1"), builder.step(wait(FAST), node_id="a2")
    b1, b2 = builder.step(wait(FAST), node_id="b1"), builder.step(wait(SLOW), node_id="b2")
    last = builder.step(total)
    join = builder.join(reduce_list_append, initial_factory=list[int])
    builder.add(
        builder.edge_from(builder.start_node).to(a1, b1),
        builder.edge_from(a1).to(a2),
        builder.edge_from(b1).to(b2),
        builder.edge_from(a2, b2).to(join),
        builder.edge_from(join).to(last),
        builder.edge_from(last).to(builder.end_node),
    )
    graph = builder.build()

    async def run() -> int:
        return int(await graph.run(inputs=0))

    return run
