"""A cell of the ledger benchmark: how fast and how large a ledger is; prints one figure's parts.

python benchmarks/books.py append 100000      microseconds to append a call in memory
python benchmarks/books.py run 50000          a run of so many calls, in memory and into a file, to the last commit
python benchmarks/books.py memory 1000000     bytes a call in memory
"""

from __future__ import annotations

import asyncio
import gc
import json
import statistics
import sys
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from growth import for_each

from laconic import Call, Ledger, Runtime, Usage
from laconic.accounting.database import Database
from laconic.backends import NoopBackend

TURNS = 7


def calls(count: int) -> Iterator[Call]:
    """Calls as runs of a thousand make them; no two share a hash or a time."""
    for number in range(count):
        yield Call(
            run=f"20260101-000000-{number // 1000:06x}",
            node=f"each[{number % 1000}]",
            item=str(number % 1000),
            model="large",
            served="qwen2.5-coder-1.5b-instruct",
            backend="vllm",
            usage=Usage(100 + number % 900, number % 256, number % 100, 0, 0),
            seconds=0.25 + number / 1e6,
            started=1.7e9 + number / 1e3,
            finish_reason="stop",
            request_hash=f"{number:032x}",
        )


def append(count: int) -> dict[str, float]:
    """Microseconds to append one call in memory."""
    made, taken = list(calls(count)), []
    for _ in range(TURNS):
        ledger = Ledger()
        gc.collect()
        worked = time.process_time()
        for call in made:
            ledger.append(call)
        taken.append((time.process_time() - worked) / count * 1e6)
    return {"microseconds": statistics.median(taken)}


async def run(count: int) -> dict[str, float]:
    """Calls a second of a run in which every node is a call, until the last is committed; and the same in memory."""
    flow = for_each(count)

    async def rate(ledger: Ledger) -> float:
        runtime = Runtime(ledger=ledger, backends={"large": NoopBackend()})
        gc.collect()
        started = time.perf_counter()
        result = await flow.run(runtime=runtime)
        ledger.flush()
        seconds = time.perf_counter() - started
        assert result.raise_for_status().outputs["answer"] == sum(range(count)) + count
        return (count + 2) / seconds

    in_memory, in_file = [], []
    with TemporaryDirectory() as folder:
        for turn in range(TURNS):
            in_memory.append(await rate(Ledger()))
            path = Path(folder) / f"{turn}.db"
            ledger = Ledger(Database(path))
            in_file.append(await rate(ledger))
            ledger.close()
            assert Ledger.load(path).total().calls == count + 2
            path.unlink()
    return {"memory": statistics.median(in_memory), "file": statistics.median(in_file)}


def memory(count: int) -> dict[str, float]:
    """Bytes a call takes in a ledger in memory, by `tracemalloc`."""
    tracemalloc.start()
    ledger = Ledger()
    before = tracemalloc.get_traced_memory()[0]
    for call in calls(count):
        ledger.append(call)
    gc.collect()
    used = tracemalloc.get_traced_memory()[0] - before
    assert ledger.total().calls == count
    return {"bytes": used / count}


if __name__ == "__main__":
    what, count = sys.argv[1], int(sys.argv[2])
    print(json.dumps({"append": append, "run": lambda count: asyncio.run(run(count)), "memory": memory}[what](count)))
