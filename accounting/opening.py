"""Opening a ledger file without doing harm to what may be no ledger at all."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec

from ..errors import LedgerError
from .schema import ADDED_COLUMNS, VERSION

BUSY = 30.0
"""Seconds to wait for another process that is writing the same file."""


@contextmanager
def plainly(path: Path, verb: str, what: str = "ledger") -> Iterator[None]:
    """Turn whatever SQLite, a decoder or the file system says into a LedgerError about `path`."""
    try:
        yield
    except (sqlite3.Error, msgspec.MsgspecError, OSError) as error:
        raise LedgerError(f"the {what} {path} cannot be {verb}: {error}") from error


def open_to_write(path: Path) -> sqlite3.Connection:
    """A connection that may be handed from thread to thread; transactions are begun and ended by hand."""
    connection = sqlite3.connect(
        path.resolve().as_uri(), uri=True, isolation_level=None, check_same_thread=False, timeout=BUSY
    )
    try:
        # A commit then survives the death of the process at once, and of the machine from the next checkpoint on.
        connection.execute("PRAGMA synchronous = NORMAL")
    except BaseException:
        connection.close()
        raise
    return connection


def open_to_read(path: Path) -> sqlite3.Connection:
    """A connection that cannot change the file. Raises LedgerError if it is missing, unreadable or no SQLite file."""
    if path.is_dir():
        raise LedgerError(f"{path} is a folder; a ledger is a file")
    if not path.exists():
        raise LedgerError(f"there is no ledger {path}")
    uri = f"{path.resolve().as_uri()}?mode=ro"
    if not path.with_name(f"{path.name}-wal").exists():
        # Nobody has it open: read it as it lies, which also works where no file may be made beside it.
        uri += "&immutable=1"
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False, timeout=BUSY)
    try:
        connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
    except sqlite3.DatabaseError as error:
        connection.close()
        raise LedgerError(f"{path} is no ledger: {error}. It was left as it is; give another path") from error
    return connection


def check_version(connection: sqlite3.Connection, path: Path) -> bool:
    """Whether the file holds a ledger; False if it is empty. Raises LedgerError if it holds something else."""
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not tables:
        return False
    meta = {}
    if {"meta", "calls"} <= tables:
        meta = dict(connection.execute("SELECT key, value FROM meta").fetchall())
    if "version" not in meta:
        raise LedgerError(f"{path} is an SQLite file, but no ledger. It was left as it is; give another path")
    if meta["version"] != str(VERSION):
        raise LedgerError(
            f"{path} is a ledger of format {meta['version']} (made by {meta.get('made_by', 'another Laconic')}), and "
            f"this Laconic reads and writes format {VERSION}. It was left as it is: give another path, or use the "
            "Laconic that made it"
        )
    return True


def lacking(connection: sqlite3.Connection) -> list[str]:
    """The columns of `calls` that came later than the file."""
    there = {name for _, name, *_ in connection.execute("PRAGMA table_info(calls)")}
    return [name for name in ADDED_COLUMNS if name not in there]


def look_at(path: Path) -> bool:
    """Whether there is a ledger at `path`; False if nothing is there. Raises LedgerError if something else is."""
    if not path.exists() or not path.stat().st_size:
        return False
    with closing(open_to_read(path)) as connection:
        return check_version(connection, path)
