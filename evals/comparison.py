"""Compare: several flows on the same items, one ledger, a row as soon as an item is done.

A comparison that was stopped goes on where it was: what the file of rows holds for the same flow, models and item is
not asked again. What a server left unanswered is no answer of a flow: such a row does not stand and is asked again.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..accounting.budget import BudgetScope
from ..errors import BackendError, BackendUnreachable, LaconicError
from ..orchestrator import Flow, Result, Runtime
from ..orchestrator.template import tree_references
from .contestant import Contestant
from .data import Data, Item
from .figures import FlowFigures, summarise
from .rows import Row, RowFile, by_flow, read_rows, tokens_of
from .scoring import Scorer, Scores, TextScorer

Task = tuple[Contestant, Item, str]
"""A flow, an item to ask it, and the key of the row that comes of it."""
MOST_CHARS = 1000
"""Longest output, written as JSON, that a row keeps beside the answer."""


@dataclass
class Comparison:
    """What came out. `rows` holds one row for each flow and item that was reached, in the order of flows and items."""

    names: list[str]
    items: int
    rows: list[Row]
    resumed: int = 0
    """Rows that were there already."""
    error: LaconicError | None = None
    """Why it ended early: the server is gone."""

    @property
    def figures(self) -> list[FlowFigures]:
        """The figures of each flow that has rows."""
        there = by_flow(self.rows)
        return summarise({name: there[name] for name in self.names if name in there})


async def compare(
    entrants: Sequence[Contestant],
    data: Data,
    runtime: Runtime,
    *,
    scorer: Scorer | None = None,
    results: str | Path | None = None,
    at_once: int = 1,
    item_by_item: bool = False,
    scope: BudgetScope | None = None,
    on_start: Callable[[Contestant], None] | None = None,
    on_row: Callable[[Row, bool], None] | None = None,
) -> Comparison:
    """Run every flow on every item of `data`, `at_once` items at once.

    `scorer` judges the answers; exact match and F1 if none is given. `results`: the file of rows, which is read first
    and appended to. `item_by_item`: all flows answer an item before the next one comes; otherwise flow by flow, which
    is kinder to a server's prefix cache. `on_start` is told each flow before its first item that is not there yet,
    `on_row(row, fresh)` every row, `fresh` being false for those that were there already.
    Items that a flow cannot be asked, or whose answers cannot be judged, move to `data.problems`. Raises InputError if
    none is left, and what opening a model raises.
    """
    scorer = scorer or TextScorer()
    await leave_out_unfit(entrants, data, scorer)
    known = {(row.flow, row.id, row.key): row for row in (read_rows(results) if results is not None else ())}
    done: dict[tuple[str, str], Row] = {}
    tasks: list[Task] = []
    for contestant, item in _order(entrants, data.items, item_by_item):
        key = contestant.key(item, scorer)
        row = known.get((contestant.name, item.id, key))
        if row is not None and row.answered:
            done[contestant.name, item.id] = row
            if on_row is not None:
                on_row(row, False)
        else:
            tasks.append((contestant, item, key))
    comparison = Comparison([c.name for c in entrants], len(data.items), [], resumed=len(done))
    file = RowFile(results)
    try:
        async for row, error in _answers(_announced(tasks, on_start), runtime, scorer, scope, at_once):
            file.append(row)
            done[row.flow, row.id] = row
            if on_row is not None:
                on_row(row, True)
            if isinstance(error, BackendUnreachable):
                comparison.error = error
                break
    finally:
        file.close()
        order = [(c.name, item.id) for c in entrants for item in data.items]
        comparison.rows = [done[place] for place in order if place in done]
    return comparison


async def leave_out_unfit(entrants: Sequence[Contestant], data: Data, scorer: Scorer) -> None:
    """Move what cannot be compared to `data.problems`. Raises InputError if nothing is left."""
    complaints = await asyncio.gather(*(_unfit(entrants, item, scorer) for item in data.items))
    of_id = dict(zip([item.id for item in data.items], complaints, strict=True))
    data.require(lambda item: of_id[item.id])


def _announced(tasks: Iterable[Task], on_start: Callable[[Contestant], None] | None) -> Iterator[Task]:
    """The tasks, each flow announced before its first."""
    begun: set[str] = set()
    for task in tasks:
        if on_start is not None and task[0].name not in begun:
            begun.add(task[0].name)
            on_start(task[0])
        yield task


async def _answers(
    tasks: Iterable[Task], runtime: Runtime, scorer: Scorer, scope: BudgetScope | None, at_once: int
) -> AsyncIterator[tuple[Row, LaconicError | None]]:
    """Rows as they are finished, `at_once` on their way. Closing it cancels those that are."""
    waiting = iter(tasks)
    under_way: set[asyncio.Task[tuple[Row, LaconicError | None]]] = set()
    try:
        while True:
            for contestant, item, key in waiting:
                under_way.add(asyncio.create_task(answer(contestant, item, key, runtime, scorer, scope)))
                if len(under_way) >= max(1, at_once):
                    break
            if not under_way:
                return
            finished, under_way = await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
            for task in finished:
                yield task.result()
    finally:
        for task in under_way:
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*under_way, return_exceptions=True)


async def answer(
    contestant: Contestant,
    item: Item,
    key: str,
    runtime: Runtime,
    scorer: Scorer,
    scope: BudgetScope | None = None,
) -> tuple[Row, LaconicError | None]:
    """One flow's row for one item, and the error that ended it, if one did."""
    started = time.perf_counter()
    result = await contestant.flow.run(
        contestant.inputs(item), runtime=runtime, run_id=contestant.run, item=item.id, scope=scope
    )
    said = result.outputs.get(contestant.output)
    text = "" if said is None else said if isinstance(said, str) else json.dumps(said, ensure_ascii=False, default=str)
    seconds = time.perf_counter() - started
    scores = await scorer.scores(item, text) if result.status == "ok" else Scores(0.0, 0.0)
    ledger = result.ledger
    row = Row(
        flow=contestant.name,
        id=item.id,
        key=key,
        run=contestant.run,
        group=item.group,
        answer=text,
        outputs=_small({name: value for name, value in result.outputs.items() if name != contestant.output}),
        gold=tuple(scorer.gold(item)),
        score=scorer.measure.name,
        em=scores.exact,
        f1=scores.partial,
        status="unserved" if unserved(result.error) else result.status,
        published=ledger.view("published:rewoo").total.total,
        seconds=seconds,
        steps=_children(contestant.flow, contestant.output, result) or ledger.total().calls,
        error="" if result.error is None else str(result.error),
        finished=time.time(),
        **tokens_of(ledger.calls),  # type: ignore[arg-type]  # the fields by name, each of its own type
    )
    return row, result.error


def unserved(error: BaseException | None) -> bool:
    """Whether an item failed because of the server: asking again may give an answer."""
    while error is not None:
        if isinstance(error, BackendError):
            return error.retryable
        error = error.__cause__
    return False


async def _unfit(entrants: Sequence[Contestant], item: Item, scorer: Scorer) -> str:
    complaints = (contestant.complaint(item) for contestant in entrants)
    return await scorer.complaint(item) or next(filter(None, complaints), "")


def _small(values: Mapping[str, Any]) -> dict[str, Any]:
    """Those values that JSON can hold in a few characters."""
    found = {}
    for name, value in values.items():
        with suppress(TypeError, ValueError):
            if len(json.dumps(value, ensure_ascii=False, allow_nan=False)) <= MOST_CHARS:
                found[name] = value
    return found


def _order(entrants: Sequence[Contestant], items: Sequence[Item], item_by_item: bool) -> list[tuple[Contestant, Item]]:
    if item_by_item:
        return [(contestant, item) for item in items for contestant in entrants]
    return [(contestant, item) for contestant in entrants for item in items]


def _children(flow: Flow, output: str, result: Result) -> int:
    """How many nodes the nodes behind the answer expanded into."""
    roots = tuple(f"{name}/" for name in tree_references(flow.outputs[output]))
    return sum(1 for record in result.nodes if record.path.startswith(roots) and record.status != "cancelled")
