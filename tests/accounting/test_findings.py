"""What was found out once is remembered: in memory, and in the file for later processes."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from laconic.accounting import Database, Store
from laconic.errors import LedgerError


def test_what_is_remembered_is_recalled_the_latest_word_first() -> None:
    store = Store()
    assert store.recall("size") is None
    store.remember("size", '{"best": 8}')
    store.remember("size", b'{"best": "gr\xc3\xb6\xc3\x9fer"}')
    assert store.recall("size") == '{"best": "größer"}'
    assert store.recall("another") is None


def test_it_is_there_at_once_and_in_later_processes(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with Database(path) as database:
        store = Store(database)
        for number in range(100):
            store.remember("size", str(number))
            assert store.recall("size") == str(number)
    with Database(path) as database:
        assert Store(database).recall("size") == "99"
        assert Store(database).recall("another") is None
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT key, finding, created > 1e9 FROM findings").fetchall() == [("size", "99", 1)]


def test_an_answer_under_the_same_key_is_something_else(tmp_path: Path) -> None:
    with Database(tmp_path / "ledger.db") as database:
        for store in (Store(), Store(database)):
            store.remember("k", "1")
            assert store.get("k") is None
            assert store.export(tmp_path / "answers.jsonl") == 0


def test_what_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with Database(tmp_path / "ledger.db") as database:
        database._reader.execute("DROP TABLE findings")
        with pytest.raises(LedgerError, match="cannot be read"):
            Store(database).recall("k")
