"""The shapes in LangGraph, as its documentation writes them: compiled once, `Send` for the fan-out, no checkpointer."""

from __future__ import annotations

import asyncio
import operator
from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import Annotated, Any, TypedDict

from shapes import FAST, LONG, RUNS, SHORT, SLOW, WIDE

# By name, hence untyped: it is installed for benchmarks only, and lint runs without it.
_graph, _types = import_module("langgraph.graph"), import_module("langgraph.types")
START, END, StateGraph, Send = _graph.START, _graph.END, _graph.StateGraph, _types.Send

Run = Callable[[], Awaitable[int]]
UNLIMITED = {"recursion_limit": 1_000_000}


class Number(TypedDict):
    number: int


class Fan(TypedDict):
    elements: list[int]
    numbers: Annotated[list[int], operator.add]
    total: int


class Branches(TypedDict, total=False):
    a: int
    b: int


async def step(state: Number) -> Number:
    await asyncio.sleep(0)
    return {"number": state["number"] + 1}


def line(length: int) -> Any:
    graph = StateGraph(Number)
    before = START
    for place in range(length):
        graph.add_node(f"n{place}", step)
        graph.add_edge(before, f"n{place}")
        before = f"n{place}"
    graph.add_edge(before, END)
    return graph.compile()


def chain() -> Run:
    graph = line(LONG)

    async def run() -> int:
        return int((await graph.ainvoke({"number": 0}, UNLIMITED))["number"])

    return run


def fan_out() -> Run:
    async def source(_state: Fan) -> dict[str, Any]:
        await asyncio.sleep(0)
        return {"elements": list(range(WIDE))}

    async def each(state: Number) -> dict[str, Any]:
        await asyncio.sleep(0)
        return {"numbers": [state["number"] + 1]}

    async def total(state: Fan) -> dict[str, Any]:
        await asyncio.sleep(0)
        return {"total": sum(state["numbers"])}

    def send(state: Fan) -> list[Any]:
        return [Send("each", {"number": element}) for element in state["elements"]]

    graph = StateGraph(Fan)
    graph.add_node("source", source)
    graph.add_node("each", each)
    graph.add_node("total", total)
    graph.add_edge(START, "source")
    graph.add_conditional_edges("source", send, ["each"])
    graph.add_edge("each", "total")
    graph.add_edge("total", END)
    compiled = graph.compile()

    async def run() -> int:
        return int((await compiled.ainvoke({"elements": [], "numbers": [], "total": 0}, UNLIMITED))["total"])

    return run


def many_runs() -> Run:
    graph = line(SHORT)

    async def run() -> int:
        results = await asyncio.gather(*(graph.ainvoke({"number": start}, UNLIMITED) for start in range(RUNS)))
        return sum(result["number"] for result in results)

    return run


def branches() -> Run:
    def wait(key: str, seconds: float) -> Callable[[Any], Awaitable[dict[str, int]]]:
        async def node(state: Any) -> dict[str, int]:
            await asyncio.sleep(seconds)
            return {key: state.get(key, 0) + 1}

        return node

    graph = StateGraph(Branches)
    graph.add_node("a1", wait("a", SLOW))
    graph.add_node("a2", wait("a", FAST))
    graph.add_node("b1", wait("b", FAST))
    graph.add_node("b2", wait("b", SLOW))
    for first, second in (("a1", "a2"), ("b1", "b2")):
        graph.add_edge(START, first)
        graph.add_edge(first, second)
        graph.add_edge(second, END)
    compiled = graph.compile()

    async def run() -> int:
        state = await compiled.ainvoke({}, UNLIMITED)
        return int(state["a"] + state["b"])

    return run
