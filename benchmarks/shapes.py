"""A cell of the overhead benchmark: one system runs one shape of graph; prints microseconds per node.

    python benchmarks/shapes.py laconic chain 7

A node awaits a model that answers at once (`asyncio.sleep(0)`) and gives its number plus one. `with_*.py` build the
shapes with each system's own means, and every answer is checked.
"""

from __future__ import annotations

import asyncio
import gc
import json
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

LONG = 100
"""Nodes of the chain."""
WIDE = 1000
"""Elements of the fan-out; a node before it makes their list, a node behind it adds them up."""
RUNS = 1000
"""Runs at once; each is a chain of `SHORT` nodes, and run i starts at i."""
SHORT = 5
SLOW, FAST = 0.1, 0.01
"""Seconds that the nodes of the two branches take: slow then fast, and fast then slow."""

Build = Callable[[], Callable[[], Awaitable[Any]]]
"""Builds a graph once; what it returns runs it and returns the answer."""


@dataclass(frozen=True)
class Shape:
    """A graph, its answer, and how often it is run for one figure."""

    nodes: int
    answer: Any
    repeats: int = 1


SHAPES = {
    "chain": Shape(LONG, LONG, repeats=20),
    "fan_out": Shape(WIDE + 2, sum(range(WIDE)) + WIDE, repeats=2),
    "fan_out_at_once": Shape(WIDE + 2, sum(range(WIDE)) + WIDE, repeats=2),
    "many_runs": Shape(RUNS * SHORT, sum(range(RUNS)) + RUNS * SHORT),
    "branches": Shape(4, 4),
}


async def measure(system: str, name: str, runs: int) -> dict[str, float]:
    """Microseconds a node, by the clock and of processor time: medians of `runs` after one to warm up."""
    build: Build = getattr(import_module(f"with_{system}"), name)
    shape, run = SHAPES[name], build()
    wall, processor = [], []
    for turn in range(runs + 1):
        gc.collect()
        started, worked = time.perf_counter(), time.process_time()
        for _ in range(shape.repeats):
            answer = await run()
            assert answer == shape.answer, f"{system} answered {name} with {answer!r} instead of {shape.answer!r}"
        if turn > 0:
            wall.append(time.perf_counter() - started)
            processor.append(time.process_time() - worked)
    micro = 1e6 / (shape.nodes * shape.repeats)
    return {"wall": statistics.median(wall) * micro, "cpu": statistics.median(processor) * micro}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measure(sys.argv[1], sys.argv[2], int(sys.argv[3])))))
