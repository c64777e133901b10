"""A cell of the client benchmark: one client makes calls against the constant server; prints what a call costs.

    python benchmarks/calls.py laconic 64 2000 http://127.0.0.1:PORT/v1

Every call asks something else, and every answer is checked down to its usage.
"""

from __future__ import annotations

import asyncio
import gc
import json
import statistics
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Any

from http_server import COMPLETION, MODEL, PROMPT, TEXT

Ask = Callable[[str], Awaitable[tuple[str, int, int]]]
"""Makes one call; returns the answer with its prompt and completion tokens."""
BATCHES = 3
QUESTION = (
    "You are given a question and three short passages. Answer with a name, a number or a few words, and with nothing "
    "else. If the passages do not say, answer from what you know. Question {number}: how many roads must be walked "
    "before the answer is known, and which of the passages says so?"
)


@asynccontextmanager
async def laconic(url: str) -> AsyncIterator[Ask]:
    """The whole way of a call: request, key, meter, backend, ledger."""
    from laconic import Ledger, Request
    from laconic.accounting.call import Owner
    from laconic.accounting.meter import Meter, MeteredModel
    from laconic.backends import Message, OpenAIBackend

    backend = OpenAIBackend(MODEL, url)
    ledger = Ledger()
    meter, model, owner = Meter(ledger), MeteredModel("large", backend), Owner("bench", "node")
    asked = 0

    async def ask(question: str) -> tuple[str, int, int]:
        nonlocal asked
        asked += 1
        request = Request(model=MODEL, messages=(Message("user", question),), max_tokens=16)
        completion = await meter.complete(model, request, owner=owner)
        return completion.text, completion.usage.prompt or 0, completion.usage.completion or 0

    yield ask
    assert asked == len(ledger.calls) == ledger.total().calls
    await backend.aclose()


@asynccontextmanager
async def openai(url: str) -> AsyncIterator[Ask]:
    """The openai package as it comes."""
    # By name, hence untyped: it is installed for benchmarks only, and lint runs without it.
    async with import_module("openai").AsyncOpenAI(base_url=url, api_key="none") as client:

        async def ask(question: str) -> tuple[str, int, int]:
            answer = await client.chat.completions.create(
                model=MODEL, messages=[{"role": "user", "content": question}], max_tokens=16, temperature=0.0
            )
            usage = answer.usage
            return answer.choices[0].message.content, usage.prompt_tokens, usage.completion_tokens

        yield ask


@asynccontextmanager
async def transport(url: str) -> AsyncIterator[Ask]:
    """httpx over the same transport, alone: no types, no errors, no books."""
    import httpx

    from laconic.backends.transport import fast_transport

    async with httpx.AsyncClient(transport=fast_transport(secure=False), timeout=60.0) as client:
        yield _plain(client, url)


@asynccontextmanager
async def httpx(url: str) -> AsyncIterator[Ask]:
    """httpx as it comes."""
    import httpx

    async with httpx.AsyncClient(timeout=60.0) as client:
        yield _plain(client, url)


def _plain(client: Any, url: str) -> Ask:
    async def ask(question: str) -> tuple[str, int, int]:
        body = {
            "model": MODEL,
            "messages": [{"role": "user", "content": question}],
            "max_tokens": 16,
            "temperature": 0.0,
        }
        answer = (await client.post(f"{url}/chat/completions", json=body)).raise_for_status().json()
        usage = answer["usage"]
        return answer["choices"][0]["message"]["content"], usage["prompt_tokens"], usage["completion_tokens"]

    return ask


CLIENTS = {"laconic": laconic, "transport": transport, "openai": openai, "httpx": httpx}


async def measure(client: str, at_once: int, calls: int, url: str) -> dict[str, float]:
    """Calls a second and microseconds of processor time a call: medians of the batches."""
    rates, processor = [], []
    async with CLIENTS[client](url) as ask:
        await batch(ask, at_once, at_once * 2 + 20)
        for _ in range(BATCHES):
            gc.collect()
            started, worked = time.perf_counter(), time.process_time()
            await batch(ask, at_once, calls)
            rates.append(calls / (time.perf_counter() - started))
            processor.append((time.process_time() - worked) / calls * 1e6)
    return {"rate": statistics.median(rates), "cpu": statistics.median(processor)}


async def batch(ask: Ask, at_once: int, calls: int) -> None:
    """Make so many calls, so many at once."""
    numbers = iter(range(calls))

    async def worker() -> None:
        for number in numbers:
            answer = await ask(QUESTION.format(number=number))
            assert answer == (TEXT, PROMPT, COMPLETION), answer

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(worker())


if __name__ == "__main__":
    client, at_once, calls, url = sys.argv[1:]
    print(json.dumps(asyncio.run(measure(client, int(at_once), int(calls), url))))
