"""Files of before calls said how long their instruction is, and before there were findings."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from laconic.accounting import Call, Database, Ledger, Store
from laconic.accounting.schema import CALL_COLUMNS

Make = Callable[..., Call]

THEN = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE calls (
    id INTEGER PRIMARY KEY,
    run TEXT NOT NULL, node TEXT NOT NULL, item TEXT NOT NULL, agent TEXT NOT NULL,
    model TEXT NOT NULL, served TEXT NOT NULL, backend TEXT NOT NULL,
    purpose TEXT NOT NULL, attempt INTEGER NOT NULL, status TEXT NOT NULL,
    prompt INTEGER, completion INTEGER, cache_read INTEGER, cache_write INTEGER, reasoning INTEGER,
    source TEXT NOT NULL, seconds REAL NOT NULL, first_token_seconds REAL, started REAL NOT NULL,
    finish_reason TEXT NOT NULL, error TEXT NOT NULL, request_hash TEXT NOT NULL,
    avoided_prompt INTEGER, avoided_completion INTEGER, avoided_cache_read INTEGER, avoided_cache_write INTEGER,
    avoided_reasoning INTEGER, avoided_source TEXT
);
CREATE INDEX calls_of_run ON calls (run);
CREATE TABLE responses (key TEXT PRIMARY KEY, request TEXT NOT NULL, completion TEXT NOT NULL, created REAL NOT NULL);
CREATE TABLE runs (
    run TEXT PRIMARY KEY, flow TEXT NOT NULL, text TEXT NOT NULL, folder TEXT NOT NULL, inputs TEXT NOT NULL,
    models TEXT NOT NULL, status TEXT NOT NULL, started REAL NOT NULL, finished REAL, outputs TEXT, budget TEXT,
    error TEXT NOT NULL
);
INSERT INTO meta VALUES ('version', '1'), ('made_by', 'laconic 0');
INSERT INTO calls VALUES (
    1, 'r1', 'answer', '', '', 'large', '', '', 'answer', 0, 'replayed', 0, 0, 0, 0, 0, 'counted', 0.0, NULL, 0.0, '',
    '', '', 7, 1, NULL, 0, 0, 'server'
), (
    2, 'r1', 'answer', '', '', 'large', '', '', 'answer', 1, 'ok', 10, 5, 0, 0, 0, 'server', 0.0, NULL, 0.0, '', '', '',
    NULL, NULL, NULL, NULL, NULL, NULL
);
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as connection:
        connection.executescript(THEN)
    return tmp_path / "ledger.db"


def test_reading_one_changes_nothing_and_what_it_does_not_say_is_unknown(path: Path, make: Make) -> None:
    before = path.read_bytes()
    replayed, call = Ledger.load(path, "r1").calls
    assert call == make()
    assert (replayed.instruction, replayed.avoided and replayed.avoided.prompt) == (None, 7)
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == ["ledger.db"]


def test_one_that_is_written_learns_it_and_keeps_what_it_had(path: Path, make: Make) -> None:
    old, new = Ledger.load(path).calls, make(instruction=40)
    for _ in range(2):
        with Database(path) as database:
            assert database.read_calls("r1")[:2] == old
            database.write_call(new)
            database.flush()
            assert Ledger.load(path).calls == database.calls_within(0, 1) == database.read_calls()
    assert Ledger.load(path).calls == [*old, new, new]


def test_one_that_is_written_remembers_findings(path: Path) -> None:
    with Database(path) as database:
        assert Store(database).recall("size") is None
        Store(database).remember("size", "16")
    with Database(path) as database:
        assert Store(database).recall("size") == "16"


def test_an_older_laconic_goes_on_with_a_file_that_learnt_it(path: Path, make: Make) -> None:
    with Database(path) as database:
        database.write_call(make(instruction=40))
    with closing(sqlite3.connect(path)) as connection:
        columns = ", ".join(name for name in CALL_COLUMNS if name != "instruction")
        connection.execute(f"INSERT INTO calls ({columns}) SELECT {columns} FROM calls WHERE id = 3")
        connection.commit()
    assert Ledger.load(path).calls[2:] == [make(instruction=40), make()]
