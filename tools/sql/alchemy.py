"""Any database that SQLAlchemy knows, read in a transaction that is declared read-only where it can be, and undone.

What protects the database: the guard, whose parsed statement is what is sent (a comment that a server would execute is
gone); the read-only transaction (PostgreSQL, MySQL, MariaDB, Oracle); the rollback. An SQLite file is opened as behind
`path`. Where it matters, use an account that may only read: a server's own functions can do what no transaction undoes,
and the guard knows only some of them by name.

PostgreSQL, MySQL, MariaDB and SQLite end a statement whose time is over; others are no longer waited for.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import FlowError, SQLFailed, ToolError
from .database import MOST_ROWS, SAMPLED_ROWS, SECONDS, Database, Watch, overdue
from .guard import only_reads
from .schema import Column, TableInfo
from .sqlite import STEPS, confine, explanation, opened
from .table import Table

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection, Engine, Executable, Inspector
    from sqlalchemy.engine import URL

_SQLGLOT_NAMES = {"postgresql": "postgres", "mssql": "tsql", "mariadb": "mysql"}
"""What sqlglot calls a dialect, where SQLAlchemy calls it otherwise."""
_OPENING = {
    "postgresql": ("SET TRANSACTION READ ONLY", "SET LOCAL statement_timeout = {milliseconds}"),
    "mysql": ("SET SESSION max_execution_time = {milliseconds}", "SET SESSION TRANSACTION READ ONLY"),
    "mariadb": ("SET SESSION max_statement_time = {seconds}", "SET SESSION TRANSACTION READ ONLY"),
    "oracle": ("SET TRANSACTION READ ONLY",),
}
"""What makes a transaction read-only, and ends a statement that takes too long."""


class AnyDatabase(Database):
    """A database by its URL. Needs its driver."""

    def __init__(self, url: str, *, rows: int = MOST_ROWS, seconds: float = SECONDS) -> None:
        """`$NAME` in the URL is filled in from the environment. Raises FlowError for a URL that cannot be used."""
        self._url = _parsed(url)
        super().__init__(Path(self._url.database or "").stem, rows=rows, seconds=seconds)

    def _query(self, sql: str, watch: Watch) -> Table:
        from sqlalchemy import text

        dialect = self._url.get_backend_name()
        dialect = _SQLGLOT_NAMES.get(dialect, dialect)
        statement = only_reads(sql, dialect).sql(dialect=dialect, comments=False)
        with self._reading(watch) as connection:
            # In `text` a colon begins a parameter unless it is escaped.
            return _fetch(connection, text(statement.replace(":", "\\:")), self.rows, watch)

    def _tables(self, watch: Watch) -> list[TableInfo]:
        from sqlalchemy import inspect

        with self._reading(watch) as connection:
            inspector = inspect(connection)
            names = {*inspector.get_table_names(), *inspector.get_view_names()}
            return [_described(inspector, name, names) for name in sorted(names)]

    def _beginning(self, table: TableInfo, watch: Watch) -> Table:
        from sqlalchemy import column, select
        from sqlalchemy import table as named

        columns: list[ColumnElement[Any]] = [column(one.name) for one in table.columns]
        if not columns:
            return Table((), ())
        statement = select(*columns).select_from(named(table.name)).limit(SAMPLED_ROWS)
        try:
            with self._reading(watch) as connection:
                return _fetch(connection, statement, SAMPLED_ROWS, watch)
        except ToolError:  # a view that does not work: no samples
            if watch.is_over():
                raise
            return Table((), ())

    @contextmanager
    def _reading(self, watch: Watch) -> Iterator[Connection]:
        """A connection in a transaction that is undone in the end."""
        from sqlalchemy.exc import SQLAlchemyError

        try:
            with _engine(self._url).connect() as connection:
                _begin(connection, watch)
                try:
                    yield connection
                finally:
                    connection.rollback()
        except (SQLAlchemyError, sqlite3.Error) as error:
            raise self._explanation(error, watch) from None
        except ImportError as error:
            raise SQLFailed(f"the driver of {self._url.drivername} is not installed: {error}") from None

    def _explanation(self, error: Exception, watch: Watch) -> ToolError:
        cause = getattr(error, "orig", None) or error
        if isinstance(cause, sqlite3.Error):
            return explanation(cause, self.name, watch)
        if watch.is_over():
            return overdue(watch.seconds)
        return SQLFailed(f"the query failed: {' '.join(str(cause).split())}")


def _parsed(url: str) -> URL:
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import NoSuchModuleError, SQLAlchemyError

    try:
        parsed = make_url(os.path.expandvars(url))
        parsed.get_dialect()
    except NoSuchModuleError:
        raise FlowError(f"SQLAlchemy knows no database {parsed.drivername!r}") from None
    except (SQLAlchemyError, ValueError):
        raise FlowError("the url of the database is not one: DIALECT://USER:PASSWORD@HOST/DATABASE") from None
    if not parsed.database:
        raise FlowError(f"the url of the database ({parsed.drivername}://...) names no database")
    return parsed


@lru_cache(maxsize=16)
def _engine(url: URL) -> Engine:
    from sqlalchemy import NullPool, create_engine

    if url.get_backend_name() == "sqlite":
        path = Path(url.database or "")
        return create_engine("sqlite://", creator=lambda: opened(path), poolclass=NullPool)
    return create_engine(url, poolclass=NullPool)


def _begin(connection: Connection, watch: Watch) -> None:
    driver = connection.connection.driver_connection
    if isinstance(driver, sqlite3.Connection):
        driver.set_progress_handler(watch.is_over, STEPS)
        return
    name = "mariadb" if getattr(connection.dialect, "is_mariadb", False) else connection.dialect.name
    for statement in _OPENING.get(name, ()):
        connection.exec_driver_sql(statement.format(seconds=watch.seconds, milliseconds=int(watch.seconds * 1000)))


def _fetch(connection: Connection, statement: Executable, most: int, watch: Watch) -> Table:
    driver = connection.connection.driver_connection
    if isinstance(driver, sqlite3.Connection):
        confine(driver)
    result = connection.execution_options(stream_results=True, max_row_buffer=most + 1).execute(statement)
    rows: list[tuple[Any, ...]] = []
    for row in result:
        if watch.is_over():
            raise overdue(watch.seconds)
        if len(rows) == most:
            return Table(tuple(result.keys()), tuple(rows), more=True)
        rows.append(tuple(row))
    return Table(tuple(result.keys()), tuple(rows))


def _described(inspector: Inspector, table: str, tables: set[str]) -> TableInfo:
    columns = tuple(Column(column["name"], _type(column["type"])) for column in inspector.get_columns(table))
    foreign = tuple(
        (here, key["referred_table"], there)
        for key in inspector.get_foreign_keys(table)
        for here, there in zip(key["constrained_columns"], key["referred_columns"], strict=False)
        if key["referred_table"] in tables
    )
    primary = tuple(inspector.get_pk_constraint(table)["constrained_columns"])
    return TableInfo(table, columns, primary, foreign)


def _type(type: Any) -> str:
    from sqlalchemy.exc import CompileError

    try:
        return str(type)
    except CompileError:  # a type of the database that SQLAlchemy does not know
        return ""
