"""Database: what can be asked of a database, whichever it is. It is only ever read.

A query is a statement that the guard lets through, run in a thread with a limit on its time and its rows; whoever stops
waiting for it stops it.
"""

from __future__ import annotations

import asyncio
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import TypeVar

import msgspec

from ...errors import SQLFailed
from .schema import Column, Schema, TableInfo, sampled
from .table import Table

MOST_ROWS = 1000
SECONDS = 10.0
GRACE = 1.5
"""Seconds after which one does not wait any longer for a database that does not stop by itself."""
SAMPLED_ROWS = 1000
"""Rows from the beginning of a table among which its sample values are looked for."""

_threads = ThreadPoolExecutor(max_workers=2 * (os.cpu_count() or 1), thread_name_prefix="laconic-sql")

Result = TypeVar("Result")


class Watch:
    """How long work may go on: until its seconds are over, or nobody waits for it any more."""

    def __init__(self, seconds: float, given_up: Event) -> None:
        self.seconds = seconds
        self._until = time.monotonic() + seconds
        self._given_up = given_up

    def is_over(self) -> bool:
        """Whether the work has to stop."""
        return self._given_up.is_set() or time.monotonic() > self._until


class Database(ABC):
    """One database. `rows` is the most rows that a query gives, `seconds` the longest that one may take."""

    def __init__(self, name: str, *, rows: int = MOST_ROWS, seconds: float = SECONDS) -> None:
        self.name = name
        self.rows = rows
        self.seconds = seconds

    async def query(self, sql: str) -> Table:
        """The result of one query that only reads.

        Raises SQLRefused for anything else, SQLFailed if the database cannot answer or not within the limits.
        """
        return await self._in_thread(lambda watch: self._query(sql, watch))

    async def schema(self) -> Schema:
        """Tables, columns, keys and a few values of each column. Raises SQLFailed."""
        return await self._in_thread(self._schema)

    @abstractmethod
    def _query(self, sql: str, watch: Watch) -> Table:
        """What `query` promises, in a thread."""

    @abstractmethod
    def _tables(self, watch: Watch) -> list[TableInfo]:
        """The tables and views, without samples."""

    @abstractmethod
    def _beginning(self, table: TableInfo, watch: Watch) -> Table:
        """The first `SAMPLED_ROWS` rows of a table; none if they cannot be read."""

    def _schema(self, watch: Watch) -> Schema:
        tables = sorted(self._tables(watch), key=lambda table: table.name)
        return Schema(tuple(self._with_samples(table, watch) for table in tables))

    def _with_samples(self, table: TableInfo, watch: Watch) -> TableInfo:
        beginning = self._beginning(table, watch)
        values = dict(zip(beginning.columns, zip(*beginning.rows, strict=True), strict=False))
        columns = tuple(
            Column(column.name, column.type, sampled(values.get(column.name, ()))) for column in table.columns
        )
        return msgspec.structs.replace(table, columns=columns)

    async def _in_thread(self, work: Callable[[Watch], Result]) -> Result:
        given_up = Event()
        loop = asyncio.get_running_loop()
        limit = asyncio.timeout(None)

        def begin_to_count() -> None:
            if not given_up.is_set():
                limit.reschedule(loop.time() + self.seconds + GRACE)

        def timed() -> Result:
            loop.call_soon_threadsafe(begin_to_count)
            return work(Watch(self.seconds, given_up))

        try:
            async with limit:
                return await loop.run_in_executor(_threads, timed)
        except TimeoutError:
            raise overdue(self.seconds) from None
        finally:
            given_up.set()


def overdue(seconds: float) -> SQLFailed:
    """What is said of a query that was stopped."""
    return SQLFailed(f"the query took longer than {seconds:g} s and was stopped; ask for less at once")
