"""Queries that ask too much, databases that cannot be read, values that are not text."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from laconic.errors import FlowError, SQLFailed
from laconic.tools import SQL

FOR_EVER = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"
A_MILLION = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 1000000) SELECT x FROM n"


def made(path: Path, script: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)
    return path


def beside(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return made(tmp_path / "heroes.sqlite", "CREATE TABLE hero (name); INSERT INTO hero VALUES ('Ann'), ('Bob')")


@pytest.fixture(params=["path", "url"])
def asked(request: pytest.FixtureRequest, file: Path) -> Any:
    """The tool over the file, opened as SQLite and through SQLAlchemy."""
    place = {"path": file} if request.param == "path" else {"url": f"sqlite:///{file}"}
    return lambda **limits: SQL(**place, **limits).open()


async def test_a_query_that_runs_for_ever_ends_in_time(asked: Any) -> None:
    begun = time.monotonic()
    with pytest.raises(SQLFailed, match=r"took longer than 0\.2 s and was stopped"):
        await asked(seconds=0.2).query(FOR_EVER)
    assert time.monotonic() - begun < 3


async def test_a_million_rows_are_cut_and_it_is_said(asked: Any) -> None:
    table = await asked(rows=10).query(A_MILLION)
    assert table.rows == tuple((x,) for x in range(1, 11))
    assert table.more
    table = await asked(rows=2).query("SELECT name FROM hero")
    assert (len(table.rows), table.more) == (2, False)


async def test_a_value_that_is_too_large_is_refused(asked: Any) -> None:
    for statement in ("SELECT zeroblob(500000000)", "SELECT replace(hex(zeroblob(4000)), '0', hex(zeroblob(4000)))"):
        with pytest.raises(SQLFailed, match="larger than 100,000 bytes"):
            await asked().query(statement)


async def test_one_does_not_wait_for_a_step_that_cannot_be_interrupted(asked: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("laconic.tools.sql.database.GRACE", 0.1)
    begun = time.monotonic()
    with pytest.raises(SQLFailed, match="took longer than"):
        await asked(seconds=0.05).query("SELECT printf('%.*c', 300000000, 'x')")
    assert time.monotonic() - begun < 1.5


async def test_many_large_values_are_cut_like_many_rows(file: Path) -> None:
    wide = (
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 900) SELECT hex(zeroblob(40000)) FROM n"
    )
    table = await SQL(path=file).open().query(wide)
    assert table.more
    assert 150 < len(table.rows) < 250


async def test_the_loop_goes_on_and_who_gives_up_stops_the_query(file: Path) -> None:
    database = SQL(path=file, seconds=600).open()
    queries = [asyncio.create_task(database.query(FOR_EVER)) for _ in range(50)]
    await asyncio.sleep(0)
    for query in queries:
        query.cancel()
    await asyncio.gather(*queries, return_exceptions=True)
    # Had any of them gone on, it would keep a thread for ten minutes, and this would never get one.
    async with asyncio.timeout(60):
        assert len((await database.query("SELECT name FROM hero")).rows) == 2


async def test_a_locked_database_says_so(file: Path, asked: Any) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        with pytest.raises(SQLFailed, match="locked by a program that writes"):
            await asked().query("SELECT name FROM hero")
        writer.execute("ROLLBACK")
    assert len((await asked().query("SELECT name FROM hero")).rows) == 2


async def test_what_is_no_database_says_so(tmp_path: Path) -> None:
    (tmp_path / "notes.sqlite").write_text("not a database, but long enough to be one" * 100)
    for tool in (SQL(path=tmp_path / "notes.sqlite"), SQL(url=f"sqlite:///{tmp_path}/notes.sqlite")):
        with pytest.raises(SQLFailed, match="'notes' is not an SQLite database"):
            await tool.open().query("SELECT 1 FROM t")
        with pytest.raises(SQLFailed, match="'notes' is not an SQLite database"):
            await tool.open().schema()


async def test_a_database_that_is_missing_says_so_and_is_not_made(tmp_path: Path) -> None:
    for tool in (SQL(path=tmp_path / "x.sqlite"), SQL(url=f"sqlite:///{tmp_path}/x.sqlite")):
        with pytest.raises(SQLFailed, match=r"no database file 'x\.sqlite'"):
            await tool.open().query("SELECT 1")
    assert beside(tmp_path) == []


async def test_a_damaged_database_says_so(tmp_path: Path) -> None:
    path = made(tmp_path / "torn.sqlite", "CREATE TABLE t (a); INSERT INTO t SELECT hex(zeroblob(30000))")
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))
    with pytest.raises(SQLFailed, match="'torn' is damaged"):
        await SQL(path=path).open().query("SELECT * FROM t")


async def test_a_database_in_wal_mode_is_read_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    path = made(tmp_path / "wal.sqlite", "PRAGMA journal_mode = WAL; CREATE TABLE t (a); INSERT INTO t VALUES (1)")
    assert (await SQL(path=path).open().query("SELECT a FROM t")).rows == ((1,),)
    assert beside(tmp_path) == ["wal.sqlite"]


async def test_what_another_program_has_just_written_in_wal_mode_is_seen(tmp_path: Path) -> None:
    path = made(tmp_path / "wal.sqlite", "PRAGMA journal_mode = WAL; CREATE TABLE t (a)")
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("INSERT INTO t VALUES (2)")
        assert (await SQL(path=path).open().query("SELECT a FROM t")).rows == ((2,),)


async def test_full_text_tables_can_be_searched(tmp_path: Path) -> None:
    script = (
        "CREATE VIRTUAL TABLE f USING fts5(a); INSERT INTO f VALUES ('one two'); CREATE VIRTUAL TABLE g USING fts4(a)"
    )
    database = SQL(path=made(tmp_path / "f.sqlite", script)).open()
    assert (await database.query("SELECT a FROM f WHERE f MATCH 'two'")).rows == (("one two",),)
    assert (await database.query("SELECT a FROM g WHERE a MATCH 'two'")).rows == ()


async def test_bad_text_and_blobs_break_nothing(tmp_path: Path, use: Any) -> None:
    made(
        tmp_path / "bad.sqlite",
        "CREATE TABLE t (a TEXT, b BLOB, c); INSERT INTO t VALUES (CAST(x'41ff42' AS TEXT), x'00ff00', 9e999)",
    )
    result = await use({"kind": "sql", "path": "bad.sqlite"}, "SELECT a, b, c FROM t")
    assert result.outputs["said"]["rows"] == [["A\ufffdB", "<blob of 3 bytes>", float("inf")]]
    database = SQL(path=tmp_path / "bad.sqlite").open()
    assert (await database.query("SELECT b FROM t")).rows == ((b"\x00\xff\x00",),)
    assert "a TEXT, -- 'A\ufffdB'" in (await database.schema()).text()


async def test_a_flow_gets_columns_rows_and_whether_there_were_more(file: Path, use: Any) -> None:
    tool = {"kind": "sql", "path": "heroes.sqlite", "rows": 1}
    result = await use(tool, {"query": "SELECT name, length(name) AS n FROM hero"})
    assert result.outputs["said"] == {"columns": ["name", "n"], "rows": [["Ann", 3]], "more": True}
    result = await use(tool, "SELECT nmae FROM hero")
    assert result.status == "failed"
    assert "the query failed: no such column: nmae" in str(result.error)


async def test_databases_are_found_by_name_in_their_folder(tmp_path: Path) -> None:
    made(tmp_path / "all" / "zoo.sqlite", "CREATE TABLE a (x)")
    made(tmp_path / "all" / "shop" / "shop.sqlite", "CREATE TABLE b (x)")
    tool = SQL(databases=tmp_path / "all")
    assert [table.name for table in (await tool.open("zoo").schema()).tables] == ["a"]
    assert [table.name for table in (await tool.open("shop").schema()).tables] == ["b"]
    with pytest.raises(SQLFailed, match=r"no database 'shpo'\. Did you mean shop\?"):
        tool.open("shpo")
    with pytest.raises(SQLFailed, match=r"say which database: there are 2 \(shop, zoo\)"):
        tool.open()
    shutil.rmtree(tmp_path / "all" / "shop")
    assert tool.open().name == "zoo"


async def test_a_name_does_not_lead_out_of_the_folder(tmp_path: Path) -> None:
    secret = made(tmp_path / "secret.sqlite", "CREATE TABLE a (x)")
    (tmp_path / "all" / "deep").mkdir(parents=True)
    (tmp_path / "all" / "link.sqlite").symlink_to(secret)
    (tmp_path / "all" / "deep" / "deep.sqlite").symlink_to(secret)
    tool = SQL(databases=tmp_path / "all")
    names = ("../secret", str(secret.with_suffix("")), "link", "deep", "..", ".", "/", "a\0b", "..\\secret", "x" * 5000)
    for name in names:
        with pytest.raises(SQLFailed, match="there is no database"):
            tool.open(name)


def test_another_name_than_that_of_the_only_database_is_refused(file: Path) -> None:
    assert SQL(path=file).open("heroes").name == "heroes"
    with pytest.raises(SQLFailed, match="no database 'villains'; there is one, 'heroes'"):
        SQL(path=file).open("villains")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "one of path, databases and url; this has none"),
        ({"path": "a", "url": "sqlite:///a"}, r"this has path, url"),
        ({"path": "a.sqlite"}, "no database file 'a.sqlite'"),
        ({"databases": "folder"}, "no folder of databases 'folder'"),
        ({"url": "nonsense"}, "is not one: DIALECT://"),
        ({"url": "sqlite://"}, "names no database"),
        ({"url": "cobol://u:secret@h/d"}, "SQLAlchemy knows no database 'cobol'"),
    ],
)
def test_a_configuration_that_cannot_work_is_refused_when_the_flow_is_loaded(
    fields: dict[str, str], message: str, tmp_path: Path
) -> None:
    tool = SQL.model_validate(fields)
    tool.at(tmp_path)
    with pytest.raises(FlowError, match=message) as refused:
        tool.check()
    assert "secret" not in str(refused.value)


async def test_a_driver_that_is_not_installed_says_so_without_the_password() -> None:
    with pytest.raises(SQLFailed, match=r"the driver of oracle\+cx_oracle is not installed") as failed:
        await SQL(url="oracle+cx_oracle://u:secret@h/d").open().query("SELECT 1 FROM t")
    assert "secret" not in str(failed.value)
