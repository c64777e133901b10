"""The shapes in pydantic-graph: `GraphBuilder`, built once, `map` and a join for the fan-out."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import Any

from shapes import FAST, LONG, RUNS, SHORT, SLOW, WIDE

# By name, hence untyped: it is installed for benchmarks only, and lint runs without it.
_pydantic_graph = import_module("pydantic_graph")
GraphBuilder, reduce_list_append = _pydantic_graph.GraphBuilder, _pydantic_graph.reduce_list_append

Run = Callable[[], Awaitable[int]]


async def step(ctx: Any) -> int:
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
    async def source(_ctx: Any) -> list[int]:
        await asyncio.sleep(0)
        return list(range(WIDE))

    async def total(ctx: Any) -> int:
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
    def wait(seconds: float) -> Callable[[Any], Awaitable[int]]:
        async def node(ctx: Any) -> int:
            await asyncio.sleep(seconds)
            return int(ctx.inputs) + 1

        return node

    async def total(ctx: Any) -> int:
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
