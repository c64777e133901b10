"""Cells for Laconic alone: what a node costs as graphs grow, and what memory a waiting node takes.

python benchmarks/growth.py chain 10000        microseconds per node (`asyncio` for bare tasks)
python benchmarks/growth.py waiting 100000     bytes per node behind a closed gate
"""

from __future__ import annotations

import asyncio
import gc
import json
import statistics
import sys
import time
import tracemalloc
from collections.abc import Awaitable, Callable

import with_asyncio
from with_laconic import Bench, Step, Total, flow, line

from laconic import Context, Flow, Node, kind

LEAST = 10_000
"""Nodes run for one figure, if need be by running a small graph several times."""
TURNS = 5


@kind("bench_given")
class Given(Node):
    """Asks the model, then gives a list of so many numbers."""

    length: int

    async def run(self, ctx: Context) -> list[int]:
        await ctx.complete(ctx.path, model="large")
        return list(range(self.length))


@kind("bench_gate")
class Gate(Node):
    """Opens after it has measured the memory that the run has taken so far."""

    async def run(self, ctx: Context) -> int:
        gc.collect()
        MEASURED.append(tracemalloc.get_traced_memory()[0])
        return 0


MEASURED: list[int] = []


def chain(size: int) -> Flow:
    return line(size)


def for_each(size: int) -> Flow:
    """One node for all elements: `size` elements between their source and their sum."""
    nodes = {
        "start": Given(length=size),
        "each": Step(number="{{ item }}", for_each="{{ start }}"),
        "total": Total(numbers="{{ each }}"),
    }
    return flow(nodes, "{{ total }}")


def fan_out(size: int) -> Flow:
    """Every node written out: `size` nodes that wait for the same one."""
    nodes: dict[str, Node] = {"first": Step(number="{{ start }}")}
    nodes |= {f"n{place}": Step(number="{{ first }}") for place in range(size)}
    return flow(nodes, "{{ first }}", inputs={"start": "int"})


FLOWS: dict[str, tuple[Callable[[int], Flow], dict[str, int]]] = {
    "chain": (chain, {"start": 0}),
    "for_each": (for_each, {}),
    "fan_out": (fan_out, {"start": 0}),
}


async def cost(name: str, size: int) -> dict[str, float]:
    """Microseconds a node: to make the flow, and to run it."""
    make, inputs = FLOWS[name]
    worked = time.process_time()
    graph = make(size)
    made = time.process_time() - worked
    bench = Bench()
    answer = {"chain": size, "for_each": sum(range(size)) + size, "fan_out": 1}[name]

    async def run() -> None:
        before = len(bench.runtime.ledger.calls)
        assert await bench.answer(graph, **inputs) == answer
        assert len(bench.runtime.ledger.calls) - before >= size

    return {**await timed(run, size), "make": made * 1e6 / size}


async def floor(size: int) -> dict[str, float]:
    """The same of bare asyncio: `size` tasks at once."""

    async def run() -> None:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(with_asyncio.step(number)) for number in range(size)]
        assert sum(task.result() for task in tasks) == sum(range(size)) + size

    return await timed(run, size)


async def timed(run: Callable[[], Awaitable[None]], size: int) -> dict[str, float]:
    """Microseconds a node, by the clock and of processor time: medians of `TURNS` after one to warm up."""
    repeats = max(1, LEAST // size)
    wall, processor = [], []
    for turn in range(TURNS + 1):
        gc.collect()
        started, worked = time.perf_counter(), time.process_time()
        for _ in range(repeats):
            await run()
        if turn > 0:
            wall.append(time.perf_counter() - started)
            processor.append(time.process_time() - worked)
    micro = 1e6 / (size * repeats)
    return {"wall": statistics.median(wall) * micro, "cpu": statistics.median(processor) * micro}


async def waiting(size: int) -> dict[str, float]:
    """Bytes a node, by `tracemalloc`: of its definition, and of its state in a run that waits for one gate."""
    tracemalloc.start()
    bench = Bench()
    nodes: dict[str, Node] = {"gate": Gate()}
    await bench.answer(flow(dict(nodes), "{{ gate }}"))  # whatever a first run imports and caches
    MEASURED.clear()
    gc.collect()
    before = tracemalloc.get_traced_memory()[0]
    nodes |= {f"n{place}": Step(number="{{ gate }}") for place in range(size)}
    graph = flow(nodes, "{{ gate }}")
    nodes.clear()
    gc.collect()
    defined = tracemalloc.get_traced_memory()[0]
    assert await bench.answer(graph) == 0
    return {"definition": (defined - before) / size, "waiting": (MEASURED[0] - defined) / size}


if __name__ == "__main__":
    what, size = sys.argv[1], int(sys.argv[2])
    if what == "waiting":
        figures = asyncio.run(waiting(size))
    else:
        figures = asyncio.run(floor(size) if what == "asyncio" else cost(what, size))
    print(json.dumps(figures))
