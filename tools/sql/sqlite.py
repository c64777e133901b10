"""SQLite, opened so that nothing a statement says can change a byte of it.

Four walls, each of which would do: the guard, the file opened for reading (`mode=ro`), `query_only`, and an authorizer
that lets a statement do nothing but select. SQLite's own limits keep values and statements short, and a query is
interrupted when its time is over.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ...errors import SQLFailed, SQLRefused
from .database import MOST_ROWS, SAMPLED_ROWS, SECONDS, Database, Watch, overdue
from .guard import MOST_CHARS, may_be_called, only_reads
from .schema import Column, TableInfo
from .table import Table

MOST_BYTES = 100_000
"""Largest value (text, blob) or row that a statement may handle, in bytes. Functions such as `instr` and `replace` take
time by length times length, in one step that nothing interrupts.
"""
MOST_RESULT_BYTES = 16_000_000
"""About the most that the values of a result may take; further rows are left out as if they were too many."""
LOCK_SECONDS = 1.0
"""How long a query waits for a program that is writing."""

STEPS = 100
"""Steps of SQLite's machine between two looks at the clock. Most take less than a microsecond, the worst a part of a
second.
"""
_TRAILING = "; \t\r\n"
"""What may stand behind a statement, and is taken by Python's driver for the beginning of a second one."""
_READING = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE})
_HARMLESS_PRAGMAS = frozenset({"data_version", "page_size"})
"""What full-text tables ask of SQLite when they are read."""


class SQLite(Database):
    """A database in one file."""

    def __init__(self, path: Path, *, rows: int = MOST_ROWS, seconds: float = SECONDS) -> None:
        super().__init__(path.stem, rows=rows, seconds=seconds)
        self.path = path

    def _query(self, sql: str, watch: Watch) -> Table:
        only_reads(sql, "sqlite")
        with self._reading(watch) as connection:
            confine(connection)
            return _fetch(connection, sql.rstrip(_TRAILING), self.rows)

    def _tables(self, watch: Watch) -> list[TableInfo]:
        with self._reading(watch) as connection:
            return list(_described(connection))

    def _beginning(self, table: TableInfo, watch: Watch) -> Table:
        try:
            with self._reading(watch) as connection:
                confine(connection)
                return _fetch(connection, f"SELECT * FROM {_quoted(table.name)} LIMIT {SAMPLED_ROWS}", SAMPLED_ROWS)
        except (SQLFailed, SQLRefused):  # a view that does not work, a value that is too large: no samples
            if watch.is_over():
                raise
            return Table((), ())

    @contextmanager
    def _reading(self, watch: Watch) -> Iterator[sqlite3.Connection]:
        with _explained(self.name, watch):
            connection = opened(self.path)
            connection.set_progress_handler(watch.is_over, STEPS)
            try:
                yield connection
            finally:
                connection.close()


def opened(path: Path) -> sqlite3.Connection:
    """A connection that reads `path`. Raises SQLFailed if there is no such file."""
    if not path.is_file():
        raise SQLFailed(f"there is no database file {path.name!r}")
    connection = sqlite3.connect(
        _address(path), uri=True, timeout=LOCK_SECONDS, isolation_level=None, check_same_thread=False
    )
    connection.text_factory = _decoded
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MOST_BYTES)
    connection.setlimit(sqlite3.SQLITE_LIMIT_SQL_LENGTH, 4 * MOST_CHARS)
    connection.setlimit(sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 1000)
    connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    return connection


def confine(connection: sqlite3.Connection) -> None:
    """Let statements on this connection do nothing but select, from now on."""
    connection.execute("PRAGMA query_only = ON")
    connection.execute("PRAGMA trusted_schema = OFF")  # a view of an untrusted file calls only innocuous functions
    # SQLite makes a virtual table known when it is first used, by steps that look like writing: so use each before.
    for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE sql LIKE 'CREATE VIRTUAL%'").fetchall():
        with suppress(sqlite3.Error):
            connection.execute(f"PRAGMA table_info({_quoted(name)})")
    connection.set_authorizer(_authorize)


@contextmanager
def _explained(name: str, watch: Watch) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise explanation(error, name, watch) from None
    except (UnicodeError, OverflowError, MemoryError) as error:
        raise SQLFailed(f"the result cannot be read from the database {name!r}: {type(error).__name__}") from None


def explanation(error: sqlite3.Error, name: str, watch: Watch) -> SQLFailed | SQLRefused:
    """An error of SQLite as one of ours: a sentence that a model and a person can use."""
    # A primary code is the low byte of an extended one.
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_INTERRUPT:
        return overdue(watch.seconds)
    if code == sqlite3.SQLITE_AUTH or str(error) == "not authorized":
        return SQLRefused(f"only reading is let through: {error}")
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return SQLFailed(f"the database {name!r} is locked by a program that writes to it; try again later")
    if code == sqlite3.SQLITE_NOTADB:
        return SQLFailed(f"{name!r} is not an SQLite database")
    if code == sqlite3.SQLITE_CORRUPT:
        return SQLFailed(f"the database {name!r} is damaged: {error}")
    if code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR):
        return SQLFailed(
            f"the database {name!r} cannot be opened for reading ({error}); a program may have left it unfinished: "
            "open it once with a program that may write"
        )
    if code == sqlite3.SQLITE_TOOBIG:
        return SQLFailed(f"a value in the query is larger than {MOST_BYTES:,} bytes")
    return SQLFailed(f"the query failed: {error}")


def _address(path: Path) -> str:
    # Reading a database in WAL mode makes files beside it, unless it is declared immutable; without a -wal file nobody
    # has it open, and what is in the file is all there is.
    alone = _in_wal_mode(path) and not path.with_name(f"{path.name}-wal").exists()
    return f"{path.resolve().as_uri()}?mode=ro{'&immutable=1' if alone else ''}"


def _in_wal_mode(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(20)[18:20] == b"\x02\x02"
    except OSError as error:
        raise SQLFailed(f"the database file {path.name!r} cannot be read: {error.strerror}") from None


def _authorize(action: int, first: str | None, second: str | None, *_: str | None) -> int:
    if action in _READING:
        return sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_FUNCTION and second is not None and may_be_called(second):
        return sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_PRAGMA and first in _HARMLESS_PRAGMAS and second is None:
        return sqlite3.SQLITE_OK
    return sqlite3.SQLITE_DENY


def _fetch(connection: sqlite3.Connection, sql: str, most: int) -> Table:
    cursor = connection.execute(sql)
    columns = tuple(str(column[0]) for column in cursor.description)
    rows: list[tuple[Any, ...]] = []
    size = 0
    for row in cursor:
        size += sum(map(_size, row))
        if len(rows) == most or size > MOST_RESULT_BYTES:
            return Table(columns, tuple(rows), more=True)
        rows.append(row)
    return Table(columns, tuple(rows))


def _size(value: Any) -> int:
    return len(value) if isinstance(value, (str, bytes)) else 8


def _described(connection: sqlite3.Connection) -> Iterator[TableInfo]:
    listed = connection.execute(
        "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite~_%' ESCAPE '~'"
    )
    columns = {name: found for (name,) in listed.fetchall() if (found := _columns(connection, name))[0]}
    keys = {
        name: tuple(key for key, _ in sorted(found[1].items(), key=lambda item: item[1]))
        for name, found in columns.items()
    }
    for name in columns:
        foreign = tuple(_foreign_keys(connection, name, columns[name][0], keys))
        yield TableInfo(name, columns[name][0], keys[name], foreign)


def _columns(connection: sqlite3.Connection, table: str) -> tuple[tuple[Column, ...], dict[str, int]]:
    """The columns of a table, and the place of each that is in its primary key."""
    try:
        found = connection.execute(f"PRAGMA table_info({_quoted(table)})").fetchall()
    except sqlite3.OperationalError:  # a view of what is no longer there: nobody can ask it
        return (), {}
    return (
        tuple(Column(str(name), str(type)) for _, name, type, *_ in found),
        {str(name): place for _, name, _, _, _, place in found if place},
    )


def _foreign_keys(
    connection: sqlite3.Connection, table: str, columns: tuple[Column, ...], keys: dict[str, tuple[str, ...]]
) -> Iterator[tuple[str, str, str]]:
    """The references of a table to tables that exist, in the order of its columns, names spelled as they are there."""
    spelled = {name.lower(): name for name in keys}
    here = {column.name.lower(): column.name for column in columns}
    order = [column.name for column in columns]
    found = []
    for _, place, other, column, there, *_ in connection.execute(f"PRAGMA foreign_key_list({_quoted(table)})"):
        other = spelled.get(str(other).lower(), "")
        key = keys.get(other, ())
        there = there or (key[place] if place < len(key) else None)
        if other and there and column.lower() in here:
            found.append((here[column.lower()], other, str(there)))
    yield from sorted(found, key=lambda reference: order.index(reference[0]))


def _quoted(name: str) -> str:
    return '"{}"'.format(name.replace('"', '""'))


def _decoded(text: bytes) -> str:
    return text.decode("utf-8", "replace")
