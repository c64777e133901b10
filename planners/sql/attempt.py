"""Attempt: a query as a model wrote it, and what the database makes of it."""

from __future__ import annotations

import msgspec

from ...errors import SQLFailed, SQLRefused
from ...tools.sql.database import Database
from ...tools.sql.table import Table

SHOWN = 300
"""Most characters of an error, or of an answer that holds no query, that are shown to a model."""


class Attempt(msgspec.Struct, frozen=True):
    """A query. `table` is what it gave, None if it failed or was not run."""

    sql: str
    """Empty if the model's answer held no query."""
    table: Table | None = None
    problem: str = ""
    """What is wrong with it, fit to be sent back; empty if it gave rows or was not run."""

    @property
    def worth(self) -> int:
        """Which attempt is to be preferred: with rows, then without any, then one that fails, then no query at all."""
        if self.table is not None:
            return 3 if self.table.rows else 2
        return 1 if self.sql else 0


async def executed(database: Database, attempt: Attempt) -> Attempt:
    """The attempt and what the database makes of it; a query that is refused or fails is a problem and no error."""
    if not attempt.sql:
        return attempt
    try:
        table = await database.query(attempt.sql)
    except (SQLRefused, SQLFailed) as error:
        return Attempt(attempt.sql, problem=f"Executing it gives an error: {str(error)[:SHOWN]}")
    return Attempt(attempt.sql, table, "" if table.rows else "It runs, but it finds nothing.")
