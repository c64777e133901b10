"""A ledger file: the calls, the answers and the runs of one project in one SQLite file.

The tables are described in `laconic.accounting.schema`; anybody may read them with plain SQL while a run writes. All
writing goes through one thread (`laconic.accounting.writer`): a process that is killed loses what it had not committed
yet, which is milliseconds, and never what it had. A file that is no ledger, or of another version, is left as it is.
"""

from __future__ import annotations

import os
import sqlite3
import time
import weakref
from collections.abc import Collection, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec

from ..backends.request import Completion, Request
from ..errors import LedgerError
from ..version import __version__
from .call import Call, Discard, DiscardCall
from .opening import check_version, lacking, look_at, open_to_read, open_to_write, plainly
from .readings import Reading
from .runs import RunRecord
from .schema import ADDED_COLUMNS, CALL_COLUMNS, READING_COLUMNS, RUN_COLUMNS, TABLES, VERSION, calls_of
from .writer import Entry, Response, Row, Writer

_completion = msgspec.json.Decoder(Completion)
_request = msgspec.json.Decoder(Request)


class Database:
    """An open ledger file, made with its folder if there is none. Raises LedgerError if it cannot be opened.

    Close it, or use it as a context manager; what is queued is also written when the interpreter ends. Reading sees
    everything that was queued before.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        with plainly(self.path, "opened"):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            look_at(self.path)
            self._reader = open_to_write(self.path)
            try:
                self._create(self._reader)
                writing = open_to_write(self.path)
            except BaseException:
                self._reader.close()
                raise
        self._writer = Writer(writing, self.path.name)
        self._closed = False
        self._queued = 0
        self._finish = weakref.finalize(self, _finish, self._writer, self._reader)

    def _create(self, connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("BEGIN IMMEDIATE")
        for statement in TABLES:
            connection.execute(statement)
        for name in lacking(connection):
            connection.execute(f"ALTER TABLE calls ADD COLUMN {name} {ADDED_COLUMNS[name]}")
        values = (str(VERSION), f"laconic {__version__}")
        connection.execute("INSERT OR IGNORE INTO meta VALUES ('version', ?), ('made_by', ?)", values)
        connection.execute("COMMIT")
        check_version(connection, self.path)

    def write_call(self, call: Call) -> None:
        """Queue a call. Costs no more than that; see `fault` and `flush` for what went wrong later."""
        self._put(call)

    def write_discard(self, word: Discard | DiscardCall) -> None:
        """Queue that calls which are in the file, or before it in the queue, were answered for nothing."""
        self._put(word)

    def write_response(self, key: str, request: Request, completion: Completion) -> int:
        """Queue an answer; an earlier one under the same key is replaced. Returns its place in the order of entries."""
        self._put(Response(key, request, completion, time.time()))
        return self._queued

    def save_run(self, record: RunRecord) -> None:
        """Queue what is to be remembered of a run; replaces what was remembered under the same id."""
        self._put(Row("runs", record.row()))

    def save_reading(self, reading: Reading) -> None:
        """Queue a reading of a server's counters, under the run that it names."""
        self._put(Row("readings", reading.row()))

    def save_finding(self, key: str, finding: str) -> None:
        """Queue what was found out (JSON text); replaces what was known under the same key."""
        self._put(Row("findings", (key, finding, time.time())))

    def _put(self, entry: Entry) -> None:
        if self._closed:
            raise LedgerError(f"the ledger {self.path} is closed; nothing more can be written to it")
        self._queued += 1
        self._writer.put(entry)

    @property
    def committed(self) -> int:
        """How many of the entries queued so far are in the file; they get there in order."""
        return self._writer.committed

    @property
    def fault(self) -> str | None:
        """Why the file cannot be written at present, such as a full disk; None while all is well."""
        return self._writer.fault

    @property
    def unwritten(self) -> Sequence[Entry]:
        """What could not be written and is kept in memory; complete after `flush`."""
        return self._writer.unwritten

    def flush(self) -> None:
        """Return when all that was queued is committed. Raises LedgerError saying what could not be written and why."""
        self._writer.flush()
        self._complain("it is kept in memory and tried again at the next flush")

    def close(self) -> None:
        """Commit what is queued and close the file. Raises LedgerError if something could not be written."""
        if not self._closed:
            self._closed = True
            self._finish()
            self._complain("it is still in memory (`unwritten`), and the file keeps all that was committed before")

    def _complain(self, consequence: str) -> None:
        unwritten = self.unwritten
        if unwritten:
            calls = sum(isinstance(entry, Call) for entry in unwritten)
            others = f" and {len(unwritten) - calls:,} other entries" if len(unwritten) > calls else ""
            raise LedgerError(
                f"{calls:,} calls{others} could not be written to {self.path}: {self.fault}. Free some space or permit "
                f"writing there; {consequence}"
            )

    def __enter__(self) -> Database:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def read_calls(self, run: str | None = None) -> list[Call]:
        """The calls of all runs or of one, in the order they ended."""
        return calls_of(self._read(*_select_calls(run)))

    def calls_within(self, begin: float, end: float) -> list[Call]:
        """The calls of all runs that began between two moments (Unix time, seconds), in the order they ended."""
        query = f"SELECT {', '.join(CALL_COLUMNS)} FROM calls WHERE started BETWEEN ? AND ? ORDER BY id"
        return calls_of(self._read(query, (begin, end)))

    def readings(self, run: str) -> list[Reading]:
        """What the servers of a run had counted before and after it; none for a run of before there were readings."""
        query = f"SELECT {', '.join(READING_COLUMNS)} FROM readings WHERE run = ? ORDER BY id"
        return [Reading.of_row(row) for row in self._read(query, (run,))]

    def response(self, key: str) -> Completion | None:
        """The answer kept under `key`, if any; one that was queued a moment ago may not be there yet."""
        rows = self._read("SELECT completion FROM responses WHERE key = ?", (key,), settle=False)
        with plainly(self.path, "read"):
            return _completion.decode(rows[0][0]) if rows else None

    def request(self, key: str) -> Request | None:
        """The request whose answer is kept under `key`, if any; what was queued a moment ago may not be there yet."""
        rows = self._read("SELECT request FROM responses WHERE key = ?", (key,), settle=False)
        with plainly(self.path, "read"):
            return _request.decode(rows[0][0]) if rows else None

    def responses(self, run: str | None = None) -> list[tuple[str, str, str]]:
        """(key, request, completion) as JSON text, oldest first: all, or those that calls of `run` got or reused."""
        query = "SELECT key, request, completion FROM responses"
        if run is None:
            return self._read(f"{query} ORDER BY rowid")
        query += " WHERE key IN (SELECT request_hash FROM calls WHERE run = ?)"
        return self._read(f"{query} ORDER BY rowid", (run,))

    def finding(self, key: str) -> str | None:
        """What was found out under `key`, if anything; what was queued a moment ago may not be there yet."""
        rows = self._read("SELECT finding FROM findings WHERE key = ?", (key,), settle=False)
        return rows[0][0] if rows else None

    def runs(self) -> list[RunRecord]:
        """All runs, the latest first."""
        query = f"SELECT {', '.join(RUN_COLUMNS)} FROM runs ORDER BY started DESC, rowid DESC"
        return [RunRecord.of_row(row) for row in self._read(query)]

    def run(self, which: str) -> RunRecord:
        """The run of that id, or whose id alone starts so, or the `last` one. Raises LedgerError."""
        runs = self.runs()
        if which == "last" and runs:
            return runs[0]
        found = [record for record in runs if record.run == which] or [r for r in runs if r.run.startswith(which)]
        if len(found) == 1:
            return found[0]
        names = ", ".join(record.run for record in (found or runs)[:8]) or "none"
        if found:
            raise LedgerError(f"{len(found)} runs in {self.path} start with {which!r}: {names}. Give more of the id")
        raise LedgerError(f"there is no run {which!r} in {self.path}. The latest runs are: {names}")

    def _read(self, query: str, values: tuple[Any, ...] = (), settle: bool = True) -> list[Any]:
        if self._closed:
            raise LedgerError(f"the ledger {self.path} is closed")
        if settle:
            self._writer.flush()
        with plainly(self.path, "read"):
            return self._reader.execute(query, values).fetchall()


def read_calls(path: str | os.PathLike[str], run: str | None = None) -> list[Call]:
    """The calls in the file at `path`, of all runs or of one, without opening it for writing. Raises LedgerError."""
    path = Path(path)
    with plainly(path, "read"), closing(open_to_read(path)) as connection:
        if not check_version(connection, path):
            return []
        return calls_of(connection.execute(*_select_calls(run, lacking(connection))))


def _select_calls(run: str | None, lacking: Collection[str] = ()) -> tuple[str, tuple[str, ...]]:
    query = f"SELECT {', '.join('NULL' if name in lacking else name for name in CALL_COLUMNS)} FROM calls"
    return (f"{query} ORDER BY id", ()) if run is None else (f"{query} WHERE run = ? ORDER BY id", (run,))


def _finish(writer: Writer, reader: sqlite3.Connection) -> None:
    """Also runs when the interpreter ends or the `Database` was forgotten: nothing queued is lost."""
    writer.stop()
    reader.close()
