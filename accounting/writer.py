"""The thread that writes a ledger file, so that a run never waits for a disk.

Whoever has something to write puts it on a queue, which costs a fraction of a microsecond. The thread takes all that
is queued and commits it in one transaction: batches grow with the load, and a quiet ledger is milliseconds behind.

Invariants: what was committed is never touched again, but for the status of calls that turn out to be discarded; what
could not be committed stays in `unwritten`, in order, and is tried again with what comes later, on `flush` and on
`stop`; nothing that is put on the queue can end the thread.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterable, Sequence
from itertools import chain
from queue import Empty, SimpleQueue
from typing import Any, Literal

import msgspec

from .call import Call, Discard, DiscardCall
from .schema import CALL_COLUMNS, FINDING_COLUMNS, READING_COLUMNS, RESPONSE_COLUMNS, RUN_COLUMNS, row_of

BATCH = 16_384
"""Most entries of one transaction."""
ROWS = (512, 64, 8, 1)
"""Rows of one INSERT. A single statement lets go of the interpreter once, not once a row, while SQLite works: next to a
busy event loop that is the difference between fast and slow."""
PATIENCE = 1.0
"""Seconds between attempts to write while writing fails and nobody asks to flush."""
LARGEST = 2**63 - 1

_json = msgspec.json.Encoder(enc_hook=repr)


class Response(msgspec.Struct, frozen=True):
    """An answer on its way to the file: `request` and `completion` are encoded by the writer."""

    key: str
    request: Any
    completion: Any
    created: float


class Row(msgspec.Struct, frozen=True):
    """A row of a table of `COLUMNS`, its values in that order."""

    table: Literal["runs", "readings", "findings"]
    values: tuple[Any, ...]


COLUMNS = {"runs": RUN_COLUMNS, "readings": READING_COLUMNS, "findings": FINDING_COLUMNS}

Entry = Call | Response | Row | Discard | DiscardCall

DISCARD = """UPDATE calls SET status = 'discarded'
    WHERE run = ?1 AND ?2 IN ('', item) AND status IN ('ok', 'replayed') AND started <= ?4
    AND substr(node, 1, length(?3)) = ?3 AND substr(node, length(?3) + 1, 1) IN ('', '/', '[')"""
DISCARD_CALL = """UPDATE calls
    SET status = CASE WHEN ?4 IS NULL AND status IN ('ok', 'replayed') THEN 'discarded' ELSE status END,
        unused = ifnull(?4, unused)
    WHERE request_hash = ?2 AND run = ?1 AND started = ?3"""
WORDS: dict[type[Discard | DiscardCall], str] = {Discard: DISCARD, DiscardCall: DISCARD_CALL}


class Writer:
    """Owns the one connection that writes. `put` never blocks and never raises."""

    def __init__(self, connection: sqlite3.Connection, name: str) -> None:
        self._connection = connection
        self._queue: SimpleQueue[Entry | threading.Event | None] = SimpleQueue()
        self.put = self._queue.put
        self.unwritten: list[Entry] = []
        """Entries that could not be written; complete after `flush`."""
        self.committed = 0
        """How many of the entries put so far are in the file. They get there in order."""
        self.fault: str | None = None
        """Why the last attempt to write failed; None after one that did not."""
        self._retry_at = 0.0
        self._thread = threading.Thread(target=self._run, name=f"laconic ledger {name}", daemon=True)
        self._thread.start()

    def flush(self) -> None:
        """Return when all that was put before is written, or could not be: then `fault` says why."""
        if self._thread.is_alive():
            done = threading.Event()
            self._queue.put(done)
            while not done.wait(0.5) and self._thread.is_alive():
                pass  # only a `stop` from another thread can come first and leave the event unset

    def stop(self) -> None:
        """Write what is left, end the thread and close the connection. May be called again."""
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join()
            self._connection.close()

    def _run(self) -> None:
        queue = self._queue
        going = True
        while going:
            entries: list[Entry] = []
            waiting: list[threading.Event] = []
            try:
                item = queue.get()
                while True:
                    if item is None:
                        going = False
                        break
                    if isinstance(item, threading.Event):
                        waiting.append(item)
                    else:
                        entries.append(item)
                        if len(entries) >= BATCH:
                            break
                    item = queue.get_nowait()
            except Empty:
                pass
            self._write(entries, urgent=bool(waiting) or not going)
            for event in waiting:
                event.set()

    def _write(self, entries: list[Entry], urgent: bool) -> None:
        if self.unwritten:
            self.unwritten.extend(entries)
            entries = self.unwritten
            if not urgent and time.monotonic() < self._retry_at:
                return
        if not entries:
            return
        try:
            try:
                self._commit(entries, clean=False)
            except (UnicodeError, OverflowError, sqlite3.ProgrammingError, TypeError, ValueError):
                # A value that SQLite or JSON cannot hold, such as half of a surrogate pair in a server's error message.
                self._commit(entries, clean=True)
        except Exception as error:  # whatever it is, the rows stay in memory and `flush` reports it
            self.unwritten = entries
            self.fault = f"{type(error).__name__}: {error}"
            self._retry_at = time.monotonic() + PATIENCE
        else:
            self.committed += len(entries)
            self.unwritten = []
            self.fault = None

    def _commit(self, entries: list[Entry], clean: bool) -> None:
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            calls = [row_of(entry) for entry in entries if type(entry) is Call]
            if len(calls) < len(entries):
                rows = [entry for entry in entries if type(entry) is Row]
                for table, columns in COLUMNS.items():
                    values = [row.values for row in rows if row.table == table]
                    self._insert(f"INSERT OR REPLACE INTO {table}", columns, values, clean)
                responses = [_response(entry, clean) for entry in entries if type(entry) is Response]
                self._insert("INSERT OR REPLACE INTO responses", RESPONSE_COLUMNS, responses, clean)
            self._insert("INSERT INTO calls", CALL_COLUMNS, calls, clean)
            if len(calls) < len(entries):
                for kind, statement in WORDS.items():
                    words = [msgspec.structs.astuple(entry) for entry in entries if type(entry) is kind]
                    connection.executemany(statement, [tuple(map(_clean, word)) for word in words] if clean else words)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def _insert(self, verb: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]], clean: bool) -> None:
        if clean:
            rows = [tuple([_clean(value) for value in row]) for row in rows]
        one = f"({', '.join('?' * len(columns))})"
        done = 0
        for size in ROWS:
            statement = f"{verb} ({', '.join(columns)}) VALUES {', '.join([one] * size)}"
            while len(rows) - done >= size:
                self._connection.execute(statement, tuple(chain.from_iterable(rows[done : done + size])))
                done += size


def _response(entry: Response, clean: bool) -> tuple[Any, ...]:
    request, completion = entry.request, entry.completion
    if clean:
        request, completion = (_clean(msgspec.to_builtins(part, enc_hook=repr)) for part in (request, completion))
    return entry.key, _json.encode(request).decode(), _json.encode(completion).decode(), entry.created


def _clean(value: Any) -> Any:
    """`value` as SQLite and JSON can hold it: broken characters become `?`, numbers beyond 63 bits unknown."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, int):
        return value if abs(value) <= LARGEST else None
    if value is None or isinstance(value, float):
        return value
    if isinstance(value, dict):
        return {_clean(key): _clean(item) for key, item in value.items()}
    if isinstance(value, Iterable):
        return [_clean(item) for item in value]
    return repr(value)
