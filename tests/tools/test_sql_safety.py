"""Nothing that is asked of a database changes a byte of it, and the refusal says why."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from laconic.errors import SQLFailed, SQLRefused
from laconic.tools import SQL
from laconic.tools.sql.sqlite import confine, opened

HOSTILE = [
    "DELETE FROM hero",
    "INSERT INTO hero VALUES (9, 'x', 1)",
    "INSERT OR REPLACE INTO hero SELECT * FROM hero",
    "REPLACE INTO hero VALUES (1, 'x', 1)",
    "UPDATE hero SET name = 'x'",
    "UPDATE hero SET name = 'x' RETURNING name",
    "DROP TABLE hero",
    "DROP VIEW tall",
    "ALTER TABLE hero RENAME TO villain",
    "ALTER TABLE hero ADD COLUMN x",
    "CREATE TABLE x (a)",
    "CREATE TABLE x AS SELECT * FROM hero",
    "CREATE TEMP TABLE x AS SELECT 1",
    "CREATE VIEW v AS SELECT 1",
    "CREATE INDEX i ON hero(name)",
    "CREATE TRIGGER t AFTER INSERT ON hero BEGIN DELETE FROM hero; END",
    "CREATE VIRTUAL TABLE f USING fts5(a)",
    "ATTACH DATABASE 'other.sqlite' AS other",
    "ATTACH 'file:other.sqlite?mode=rwc' AS other",
    "DETACH DATABASE main",
    "VACUUM",
    "VACUUM INTO 'copy.sqlite'",
    "REINDEX",
    "ANALYZE",
    "PRAGMA journal_mode = WAL",
    "PRAGMA user_version = 7",
    "PRAGMA query_only = OFF",
    "PRAGMA writable_schema = ON",
    "PRAGMA table_info(hero)",
    "BEGIN IMMEDIATE",
    "BEGIN; DELETE FROM hero; COMMIT",
    "SAVEPOINT s",
    "COMMIT",
    "EXPLAIN DELETE FROM hero",
    "EXPLAIN SELECT * FROM hero",
    "VALUES (1)",
    "SELECT 1; DELETE FROM hero",
    "SELECT 1;; DROP TABLE hero;",
    "SELECT 1; -- harmless\nDROP TABLE hero",
    "SELECT 1 /* ; */; DROP TABLE hero",
    "/* SELECT */ DELETE FROM hero",
    "-- SELECT\nDELETE FROM hero",
    "WITH x AS (SELECT 1) DELETE FROM hero",
    "WITH x AS (SELECT 1) INSERT INTO hero SELECT 9, 'x', 1",
    "WITH x AS (SELECT 1) UPDATE hero SET name = 'x'",
    "WITH x AS (DELETE FROM hero RETURNING *) SELECT * FROM x",
    "SELECT * INTO copy FROM hero",
    "SELECT load_extension('evil.so')",
    "SELECT LOAD_EXTENSION('evil.so', 'init')",
    "SELECT \"load_extension\"('evil.so')",
    "SELECT name FROM hero WHERE writefile('out', name) > 0",
    "SELECT readfile('/etc/passwd')",
    "SELECT hex(fts3_tokenizer('simple'))",
    "SELECT fts3_tokenizer('simple', x'00')",
    "SELECT edit('x', 'touch out')",
    "SELECT * FROM pragma_table_info('hero')",
    "SELECT * FROM hero; \u2028DELETE FROM hero",
    "SELECT 1\0; DELETE FROM hero",
    "DELETE\u00a0FROM hero",
    "\ufeffDROP TABLE hero",
    "(DELETE FROM hero)",
    "SELECT (DELETE FROM hero)",
    "; DELETE FROM hero",
    "",
    " \n ",
    "-- nothing",
    ";",
    "SELECT '\ud800'",
    "SELECT " + "(" * 5000 + "1" + ")" * 5000,
    "SELECT 1" + " + 1" * 10_000,
]

HARMLESS = {
    'SELECT "delete" FROM log': "x",
    "SELECT '; DROP TABLE hero; --'": "; DROP TABLE hero; --",
    "SELECT 'it''s; DELETE FROM hero'": "it's; DELETE FROM hero",
    "SELECT 1 -- ; DELETE FROM hero": 1,
    "/* DROP TABLE hero; */ SELECT 2;": 2,
    "SELECT 3;;": 3,
    "SELECT name AS 'update' FROM hero WHERE name LIKE 'A%'": "Ann",
    "SELECT replace(name, 'A', 'B') FROM hero ORDER BY id": "Bnn",
    "WITH t AS (SELECT max(id) AS most FROM hero) SELECT most FROM t": 2,
    "SELECT 4 UNION SELECT 4 EXCEPT SELECT 5": 4,
    "SELECT 5 INTERSECT SELECT 5": 5,
    "SELECT row_number() OVER (PARTITION BY team_id ORDER BY id DESC) FROM hero ORDER BY id": 2,
    "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 9) SELECT sum(x) FROM n": 45,
    "SELECT count(*) FILTER (WHERE id > 1) FROM hero": 1,
    "SELECT CASE WHEN EXISTS (SELECT 1 FROM hero) THEN 'yes' ELSE 'no' END": "yes",
    "SELECT iif(strftime('%Y', '2020-05-01') = '2020', 'y', 'n')": "y",
    "SELECT name FROM [hero] WHERE `id` = 2": "Bob",
    "SELECT CAST(substr('abc12', -2) AS INTEGER)": 12,
    "SELECT json_extract('{\"a\": 6}', '$.a')": 6,
    "SELECT name FROM tall": "Ann",
}


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("made") / "made.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            """
            CREATE TABLE team (id INTEGER PRIMARY KEY, name TEXT);
            CREATE TABLE hero (id INTEGER PRIMARY KEY, name TEXT, team_id INTEGER REFERENCES team);
            CREATE TABLE log ("delete" TEXT);
            CREATE VIEW tall AS SELECT name FROM hero WHERE id = 1;
            INSERT INTO team VALUES (1, 'red');
            INSERT INTO hero VALUES (1, 'Ann', 1), (2, 'Bob', 1);
            INSERT INTO log VALUES ('x');
            """
        )
    return path.read_bytes()


@pytest.fixture
def file(content: bytes, tmp_path: Path) -> Iterator[Path]:
    """A small database alone in a folder; afterwards it is byte for byte the same, and still alone."""
    path = tmp_path / "heroes.sqlite"
    path.write_bytes(content)
    yield path
    assert path.read_bytes() == content
    assert [found.name for found in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("statement", HOSTILE)
async def test_a_hostile_statement_is_refused_with_a_reason(file: Path, statement: str) -> None:
    with pytest.raises(SQLRefused) as refused:
        await SQL(path=file).open().query(statement)
    assert len(str(refused.value)) > 20
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("statement", HOSTILE)
async def test_it_is_refused_through_sqlalchemy_too(file: Path, statement: str) -> None:
    with pytest.raises(SQLRefused):
        await SQL(url=f"sqlite:///{file}").open().query(statement)


@pytest.mark.parametrize("statement", HOSTILE)
def test_what_passed_the_guard_would_not_change_the_file_either(file: Path, statement: str) -> None:
    with closing(opened(file)) as connection:
        confine(connection)
        with suppress(sqlite3.Error, UnicodeEncodeError):
            connection.execute(statement).fetchall()


@pytest.mark.parametrize(("statement", "expected"), HARMLESS.items())
async def test_what_only_looks_hostile_is_answered(file: Path, statement: str, expected: object) -> None:
    for tool in (SQL(path=file), SQL(url=f"sqlite:///{file}")):
        assert (await tool.open().query(statement)).rows[0][0] == expected


WORDS = """
SELECT * FROM hero WHERE ; DELETE INSERT INTO DROP TABLE ( ) , ' " -- /* */ WITH x AS 1 UNION PRAGMA ATTACH = name id
VALUES SET UPDATE LIMIT ORDER BY count
"""


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=80) | st.lists(st.sampled_from(WORDS.split()), max_size=14).map(" ".join))
def test_whatever_is_sent_gives_rows_or_a_tool_error(file: Path, content: bytes, text: str) -> None:
    with suppress(SQLRefused, SQLFailed):
        asyncio.run(SQL(path=file).open().query(text))
    assert file.read_bytes() == content
