"""The shapes in Laconic: every node asks the no-op model through the meter, and every call is in the ledger."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from itertools import pairwise
from typing import Any

from shapes import FAST, LONG, RUNS, SHORT, SLOW, WIDE

from laconic import Context, Flow, Node, Runtime, kind
from laconic.backends import NoopBackend
from laconic.orchestrator import Template

Run = Callable[[], Awaitable[int]]


@kind("bench_step")
class Step(Node):
    """Asks the model, then gives its number plus one. No two prompts of a run are the same: none is shared."""

    number: Template

    async def run(self, ctx: Context) -> int:
        number: int = ctx.render(self.number)
        await ctx.complete(f"{ctx.path} {number}", model="large")
        return number + 1


@kind("bench_source")
class Source(Node):
    """Asks the model, then gives the list to fan out over."""

    async def run(self, ctx: Context) -> list[int]:
        await ctx.complete(ctx.path, model="large")
        return list(range(WIDE))


@kind("bench_total")
class Total(Node):
    """Asks the model, then adds up."""

    numbers: Template

    async def run(self, ctx: Context) -> int:
        await ctx.complete(ctx.path, model="large")
        return sum(ctx.render(self.numbers))


@kind("bench_wait")
class Wait(Node):
    """Takes its time, then gives its number plus one."""

    number: Template
    seconds: float

    async def run(self, ctx: Context) -> int:
        await asyncio.sleep(self.seconds)
        return int(ctx.render(self.number)) + 1


def flow(nodes: Mapping[str, Node], answer: str, **more: Any) -> Flow:
    return Flow(
        name="bench",
        models={"large": {"backend": "scripted", "model": "noop"}},
        nodes=dict(nodes),
        outputs={"answer": answer},
        **more,
    )


def line(length: int) -> Flow:
    """A chain of `length` nodes behind the input `start`."""
    names = ["start", *(f"n{place}" for place in range(length))]
    nodes = {name: Step(number=f"{{{{ {before} }}}}") for before, name in pairwise(names)}
    return flow(nodes, f"{{{{ {names[-1]} }}}}", inputs={"start": "int"})


class Bench:
    """A runtime with the no-op model; sees to it that every node was a call and every call is in the ledger."""

    def __init__(self) -> None:
        self.backend = NoopBackend()
        self.runtime = Runtime(backends={"large": self.backend})

    async def answer(self, flow: Flow, **inputs: Any) -> int:
        """One run's answer."""
        result = await flow.run(inputs, runtime=self.runtime)
        answer: int = result.raise_for_status().outputs["answer"]
        return answer

    def checked(self, work: Run, calls: int) -> Run:
        """`work`, with a look at the books behind it."""

        async def run() -> int:
            before = self.backend.calls
            answer = await work()
            assert self.backend.calls == before + calls == len(self.runtime.ledger.calls)
            return answer

        return run


def chain() -> Run:
    bench, graph = Bench(), line(LONG)
    return bench.checked(lambda: bench.answer(graph, start=0), LONG)


def fan_out(**more: Any) -> Run:
    bench = Bench()
    graph = flow(
        {
            "source": Source(),
            "each": Step(number="{{ item }}", for_each="{{ source }}", **more),
            "total": Total(numbers="{{ each }}"),
        },
        "{{ total }}",
    )
    return bench.checked(lambda: bench.answer(graph), WIDE + 2)


def fan_out_at_once() -> Run:
    """With all elements under way at once, as in the other systems; otherwise it would be 256."""
    return fan_out(concurrency=WIDE)


def many_runs() -> Run:
    bench, graph = Bench(), line(SHORT)

    async def run() -> int:
        return sum(await asyncio.gather(*(bench.answer(graph, start=start) for start in range(RUNS))))

    return bench.checked(run, RUNS * SHORT)


def branches() -> Run:
    bench = Bench()
    graph = flow(
        {
            "a1": Wait(number="{{ start }}", seconds=SLOW),
            "a2": Wait(number="{{ a1 }}", seconds=FAST),
            "b1": Wait(number="{{ start }}", seconds=FAST),
            "b2": Wait(number="{{ b1 }}", seconds=SLOW),
        },
        "{{ a2 + b2 }}",
        inputs={"start": "int"},
    )
    return lambda: bench.answer(graph, start=0)
