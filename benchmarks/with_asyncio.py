"""The shapes in bare asyncio, one task per node: the floor."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from shapes import FAST, LONG, RUNS, SHORT, SLOW, WIDE

Run = Callable[[], Awaitable[int]]


async def step(number: int) -> int:
    await asyncio.sleep(0)
    return number + 1


async def source() -> list[int]:
    await asyncio.sleep(0)
    return list(range(WIDE))


async def total(numbers: list[int]) -> int:
    await asyncio.sleep(0)
    return sum(numbers)


async def wait(number: int, seconds: float) -> int:
    await asyncio.sleep(seconds)
    return number + 1


async def line(start: int, length: int) -> int:
    number = start
    for _ in range(length):
        number = await asyncio.create_task(step(number))
    return number


def chain() -> Run:
    return lambda: line(0, LONG)


def fan_out() -> Run:
    async def run() -> int:
        elements = await asyncio.create_task(source())
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(step(element)) for element in elements]
        return await asyncio.create_task(total([task.result() for task in tasks]))

    return run


def many_runs() -> Run:
    async def run() -> int:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(line(start, SHORT)) for start in range(RUNS)]
        return sum(task.result() for task in tasks)

    return run


def branches() -> Run:
    async def branch(first: float, second: float) -> int:
        number = await asyncio.create_task(wait(0, first))
        return await asyncio.create_task(wait(number, second))

    async def run() -> int:
        return sum(await asyncio.gather(branch(SLOW, FAST), branch(FAST, SLOW)))

    return run
