"""SpiderScorer, BirdScorer: an answer that is a query is right if it gives what the gold query gives."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path

from ..errors import ToolError
from ..tools.sql.database import Database
from ..tools.sql.table import Table
from ..tools.sql.tool import SQL
from .data import Item, lacks
from .execution import as_spider_runs, bird_equal, orders, spider_equal
from .scoring import SQL_BIRD, SQL_SPIDER, Scorer, Scores

SECONDS = 30.0
"""Longest that one query may take, as in BIRD's script."""
MOST_ROWS = 100_000
"""A query that gives more is not read to its end: it cannot be judged."""


class SQLScorer(Scorer):
    """Execution accuracy.

    An item has its gold query in `sql`, and in `db_id` the name of its database in the folder `databases`. A gold query
    that does not run is a fault of the data: the item is left out, with the reason. An answer that does not run is
    wrong.
    """

    def __init__(self, databases: str | Path, *, seconds: float = SECONDS) -> None:
        """Raises FlowError if there is no such folder, or what reads SQL is not installed."""
        self._tool = SQL(databases=Path(databases), rows=MOST_ROWS, seconds=seconds)
        self._tool.check()
        self._golds: dict[tuple[str, str], Table] = {}

    @property
    def identity(self) -> tuple[str, ...]:
        """The measure, and where the databases are."""
        return (*super().identity, str(self._tool.locate(self._tool.databases or "")))

    def gold(self, item: Item) -> list[str]:
        """Its `sql`."""
        gold = item.fields.get("sql")
        return [gold] if isinstance(gold, str) and gold.strip() else []

    async def complaint(self, item: Item) -> str:
        """Whether its gold query runs."""
        if not self.gold(item):
            return lacks(item.fields, ["sql"]) or "its gold query (`sql`) is empty or no text"
        try:
            gold = await self._gold_table(item)
        except ToolError as error:
            return f"its gold query cannot be run: {error}"
        return f"its gold query gives more than {MOST_ROWS:,} rows" if gold.more else ""

    async def scores(self, item: Item, answer: str) -> Scores:
        """1 if the answer, run as it stands, gives what the gold query gives; else 0."""
        try:
            gold = await self._gold_table(item)
            said = await self._database(item).query(self._as_run(answer))
        except ToolError:
            return Scores(0.0, 0.0)
        right = float(not said.more and self._equal(item, gold, said))
        return Scores(right, right)

    async def _gold_table(self, item: Item) -> Table:
        gold = self.gold(item)[0]
        place = (item.group, gold)
        if place not in self._golds:
            self._golds[place] = await self._database(item).query(self._as_run(gold))
        return self._golds[place]

    def _database(self, item: Item) -> Database:
        return self._tool.open(item.group)

    def _as_run(self, sql: str) -> str:
        """How the official script changes a query before it runs it."""
        return sql

    @abstractmethod
    def _equal(self, item: Item, gold: Table, said: Table) -> bool:
        """Whether two results are the same by the rules of the official script."""


class SpiderScorer(SQLScorer):
    """Execution accuracy as Spider's script has it."""

    measure = SQL_SPIDER

    def _as_run(self, sql: str) -> str:
        return as_spider_runs(sql)

    def _equal(self, item: Item, gold: Table, said: Table) -> bool:
        return spider_equal(gold, said, ordered=orders(self.gold(item)[0]))


class BirdScorer(SQLScorer):
    """Execution accuracy as BIRD's script has it."""

    measure = SQL_BIRD

    def _equal(self, item: Item, gold: Table, said: Table) -> bool:
        return bird_equal(gold, said)
