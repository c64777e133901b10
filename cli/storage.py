"""Where a command keeps ledger, answers and run records: one SQLite file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..accounting.database import Database
from ..accounting.ledger import Ledger
from ..accounting.runs import RunRecord
from ..accounting.store import Store
from ..errors import InputError, LedgerError

DEFAULT = Path(".laconic") / "laconic.db"


def store_path(given: Path | None) -> Path:
    """The file: the one given, else `$LACONIC_STORE`, else `.laconic/laconic.db` in the current folder."""
    if given is not None:
        return given
    named = os.environ.get("LACONIC_STORE")
    return Path(named).expanduser() if named else DEFAULT


@contextmanager
def opened(path: Path) -> Iterator[tuple[Ledger, Store, Database]]:
    """The file, open for writing; committed and closed at the end. Raises LedgerError."""
    database = Database(path)
    try:
        yield Ledger(database), Store(database), database
    finally:
        database.close()


@contextmanager
def existing(given: Path | None) -> Iterator[Database]:
    """A file that must be there, for commands that only look. Raises InputError if it is not."""
    path = store_path(given)
    if not path.exists():
        raise InputError(
            f"there is no ledger at {path}; run a flow first, or name the file with --store or LACONIC_STORE"
        )
    with Database(path) as database:
        yield database


def find_run(database: Database, which: str) -> RunRecord:
    """A run by its id, the beginning of it, or `last`. Raises InputError if there is no such run."""
    try:
        return database.run(which)
    except LedgerError as error:
        raise InputError(str(error)) from error
