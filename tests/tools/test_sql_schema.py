"""The schema of a database as a prompt."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laconic.tools import SQL
from laconic.tools.sql import Column, Schema, TableInfo

SCRIPT = """
CREATE TABLE team (id INTEGER PRIMARY KEY, name TEXT, "order" REAL);
CREATE TABLE member (TEAM INTEGER, hero TEXT, since DATE, photo BLOB, PRIMARY KEY (team, hero),
    FOREIGN KEY (team) REFERENCES Team, FOREIGN KEY (hero) REFERENCES hero(code),
    FOREIGN KEY (since) REFERENCES gone(x));
CREATE TABLE hero (code TEXT PRIMARY KEY, note TEXT);
CREATE VIEW broken AS SELECT x FROM nowhere;
INSERT INTO team VALUES (1, 'red', 0.5), (2, 'red', NULL), (3, 'it''s blue', 2);
INSERT INTO hero VALUES ('A1', 'line' || char(10) || '-- two' || char(27) || '[31m'), ('B2', hex(zeroblob(40)));
INSERT INTO member VALUES (1, 'A1', '2020-01-01', x'00ff');
"""
TEXT = """\
CREATE TABLE hero (
code TEXT PRIMARY KEY, -- 'A1', 'B2'
note TEXT, -- 'line -- two[31m', '00000000000000000000000000000…'
);
CREATE TABLE member (
TEAM INTEGER REFERENCES team(id),
hero TEXT REFERENCES hero(code), -- 'A1'
since DATE, -- '2020-01-01'
photo BLOB,
PRIMARY KEY (TEAM, hero),
);
CREATE TABLE team (
id INTEGER PRIMARY KEY,
name TEXT, -- 'red', 'it''s blue'
"order" REAL, -- 0.5, 2.0
);"""


@pytest.fixture
def tool(tmp_path: Path) -> SQL:
    with closing(sqlite3.connect(tmp_path / "heroes.sqlite")) as connection:
        connection.executescript(SCRIPT)
    return SQL(path=tmp_path / "heroes.sqlite")


async def test_it_shows_columns_keys_and_a_few_values_each_on_its_line(tool: SQL) -> None:
    schema = await tool.open().schema()
    assert schema.text() == TEXT
    assert schema == await tool.open().schema()
    assert "--" not in schema.text(samples=False)


async def test_it_is_the_same_through_sqlalchemy(tmp_path: Path) -> None:
    path = tmp_path / "shop.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            """
            CREATE TABLE shop (id INTEGER PRIMARY KEY, name TEXT);
            CREATE TABLE sale (shop INTEGER REFERENCES shop(id), day DATE, price REAL, PRIMARY KEY (shop, day));
            CREATE VIEW dear AS SELECT shop FROM sale WHERE price > 1;
            INSERT INTO shop VALUES (1, 'North');
            INSERT INTO sale VALUES (1, '2020-01-01', 2.5);
            """
        )
    schema = await SQL(path=path).open().schema()
    assert [table.name for table in schema.tables] == ["dear", "sale", "shop"]
    assert await SQL(url=f"sqlite:///{path}").open().schema() == schema


async def test_under_a_cap_it_drops_samples_then_types_then_tables_and_says_so(tool: SQL) -> None:
    schema = await tool.open().schema()
    full = len(schema.text())
    lighter = schema.text(full // 4 - 1)
    assert lighter.endswith("-- left out: sample values")
    assert "name TEXT," in lighter
    bare = schema.text(len(lighter) // 4 - 5)
    assert bare.endswith("-- left out: sample values, types")
    assert "\nname,\n" in bare
    short = schema.text(len(bare) // 4 - 3)
    assert short.endswith("-- left out: sample values, types, 1 table (team)")
    assert "CREATE TABLE member" in short
    assert schema.text(1) == "-- left out: sample values, types, 3 tables (hero, member, team)"


async def test_the_cap_is_counted_by_the_counter_it_is_given(tool: SQL) -> None:
    schema = await tool.open().schema()
    assert schema.text(len(TEXT), count=len) == TEXT
    assert schema.text(len(TEXT) - 1, count=len) != TEXT


async def test_a_part_keeps_keys_and_what_joins_its_tables(tool: SQL) -> None:
    schema = await tool.open().schema()
    part = schema.only({"MEMBER": ["Since", "nope"], "team": ["name"], "unknown": ["x"]})
    assert part.text(samples=False) == (
        "CREATE TABLE member (\nTEAM INTEGER REFERENCES team(id),\nhero TEXT,\nsince DATE,\n"
        "PRIMARY KEY (TEAM, hero),\n);\n"
        "CREATE TABLE team (\nid INTEGER PRIMARY KEY,\nname TEXT,\n);"
    )
    assert schema.only({}) == Schema(())
    assert [column.name for column in schema.only({"hero": []}).tables[0].columns] == ["code"]


names = st.text(min_size=1, max_size=20)


@given(
    st.lists(st.builds(TableInfo, names, st.lists(st.builds(Column, names, names), max_size=4).map(tuple)), max_size=5),
    st.integers(0, 200),
)
def test_whatever_the_names_are_no_line_is_broken_and_the_cap_holds(tables: list[TableInfo], cap: int) -> None:
    schema = Schema(tuple(tables))
    text = schema.text()
    assert len(text.splitlines()) == sum(2 + len(table.columns) for table in tables)
    capped = schema.text(cap)
    assert len(capped) <= 4 * cap or "CREATE" not in capped
