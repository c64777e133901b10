"""Compare: several flows on the same items, one ledger, a row as soon as an item is done.

A comparison that was stopped goes on where it was: what the file of rows holds for the same flow, models and item is
not asked again. What a server left unanswered is no answer of a flow: such a row does not stand and is asked again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from ..accounting.budget import BudgetScope
from ..errors import BackendUnreachable, InputError, LaconicError
from ..orchestrator import Runtime
from .answering import Asked, answer
from .contestant import Contestant
from .data import Data, Item
from .figures import FlowFigures, summarise
from .rows import Row, RowFile, by_flow, read_rows
from .scoring import Scorer, TextScorer


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
    and appended to. `item_by_item`: all flows answer an item before the next one comes, which keeps what their prompts
    share in a server's prefix cache; otherwise flow by flow, each once the last has ended, which keeps the instruction
    of each flow there and its seconds its own. A flow whose input is the list of items is asked all of them at once.
    `on_start` is told each flow before its first item that is not there yet,
    `on_row(row, fresh)` every row, `fresh` being false for those that were there already.
    Items that a flow cannot be asked, or whose answers cannot be judged, move to `data.problems`. Raises InputError if
    none is left, and what opening a model raises.
    """
    scorer = scorer or TextScorer()
    await leave_out_unfit(entrants, data, scorer)
    known = {(row.flow, row.id, row.key): row for row in (read_rows(results) if results is not None else ())}
    done: dict[tuple[str, str], Row] = {}
    tasks: list[Asked] = []
    for asked in _order(entrants, data.items, item_by_item):
        rows = [known.get((asked.contestant.name, *place)) for place in asked.keys(scorer)]
        there = [row for row in rows if row is not None and row.answered]
        if len(there) < len(rows):
            tasks.append(asked)
            continue
        for row in there:
            done[row.flow, row.id] = row
            if on_row is not None:
                on_row(row, False)
    comparison = Comparison([c.name for c in entrants], len(data.items), [], resumed=len(done))
    file = RowFile(results)
    try:
        groups = [tasks] if item_by_item else _flow_by_flow(tasks)
        async for rows_of, error in _answers(_announced(groups, on_start), runtime, scorer, scope, at_once):
            for row in rows_of:
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
    single = [contestant for contestant in entrants if not contestant.together(data.items)]
    for contestant in entrants:
        why = "" if contestant in single else contestant.complaint_together(data.items)
        if why:
            raise InputError(f"the flow {contestant.name!r} {why}")
    complaints = await asyncio.gather(*(_unfit(single, item, scorer) for item in data.items))
    of_id = dict(zip([item.id for item in data.items], complaints, strict=True))
    data.require(lambda item: of_id[item.id])


def _flow_by_flow(tasks: Iterable[Asked]) -> list[list[Asked]]:
    return [list(of_flow) for _, of_flow in groupby(tasks, key=lambda asked: asked.contestant.name)]


def _announced(
    groups: Iterable[Iterable[Asked]], on_start: Callable[[Contestant], None] | None
) -> Iterator[Iterator[Asked]]:
    """The tasks, each flow announced before its first."""
    begun: set[str] = set()

    def each(group: Iterable[Asked]) -> Iterator[Asked]:
        for task in group:
            if on_start is not None and task.contestant.name not in begun:
                begun.add(task.contestant.name)
                on_start(task.contestant)
            yield task

    return map(each, groups)


async def _answers(
    groups: Iterable[Iterator[Asked]], runtime: Runtime, scorer: Scorer, scope: BudgetScope | None, at_once: int
) -> AsyncIterator[tuple[list[Row], LaconicError | None]]:
    """Rows as they are finished, `at_once` tasks of a group on their way. Closing it cancels those that are."""
    under_way: set[asyncio.Task[tuple[list[Row], LaconicError | None]]] = set()
    try:
        for waiting in groups:
            while True:
                for asked in waiting:
                    under_way.add(asyncio.create_task(answer(asked, runtime, scorer, scope)))
                    if len(under_way) >= max(1, at_once):
                        break
                if not under_way:
                    break
                finished, under_way = await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
                for task in finished:
                    yield task.result()
    finally:
        for task in under_way:
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*under_way, return_exceptions=True)


async def _unfit(entrants: Sequence[Contestant], item: Item, scorer: Scorer) -> str:
    complaints = (contestant.complaint(item) for contestant in entrants)
    return await scorer.complaint(item) or next(filter(None, complaints), "")


def _order(entrants: Sequence[Contestant], items: Sequence[Item], item_by_item: bool) -> list[Asked]:
    """What is asked of whom: item by item, or all items at once of a flow that takes them together."""
    together = [Asked(contestant, tuple(items)) for contestant in entrants if contestant.together(items)]
    single = [contestant for contestant in entrants if not contestant.together(items)]
    if item_by_item:
        return [*together, *(Asked(contestant, (item,)) for item in items for contestant in single)]
    of_flow = {asked.contestant.name: [asked] for asked in together}
    for contestant in single:
        of_flow[contestant.name] = [Asked(contestant, (item,)) for item in items]
    return [asked for contestant in entrants for asked in of_flow[contestant.name]]
