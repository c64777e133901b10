"""The sample database: made again it is the same, and its questions each have one answer that says something."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlglot
from sqlglot import exp

from laconic.tools.sql.tool import SQL
from laconic.workflows import folder

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "make_shop.py"
DATA = folder() / "data"
QUESTIONS: list[dict[str, Any]] = [
    json.loads(line) for line in (DATA / "shop_questions.jsonl").read_text(encoding="utf-8").splitlines()
]


@pytest.fixture
def shop() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(f"file:{DATA / 'shop.sqlite'}?mode=ro", uri=True)) as database:
        yield database


def parsed(question: dict[str, Any]) -> exp.Query:
    return sqlglot.parse_one(question["sql"], dialect="sqlite")  # type: ignore[return-value]  # every gold query is one


def effort(question: dict[str, Any]) -> int:
    """Joins, windows, and queries inside the query."""
    query = parsed(question)
    return sum(len(list(query.find_all(kind))) for kind in (exp.Join, exp.Window, exp.Select)) - 1


def test_the_script_makes_the_database_that_is_there(shop: sqlite3.Connection, tmp_path: Path) -> None:
    subprocess.run([sys.executable, str(SCRIPT), str(tmp_path / "again.sqlite")], check=True)
    with closing(sqlite3.connect(tmp_path / "again.sqlite")) as again:
        assert list(again.iterdump()) == list(shop.iterdump())


def test_it_is_small_whole_and_as_dirty_as_it_says(shop: sqlite3.Connection) -> None:
    assert (DATA / "shop.sqlite").stat().st_size < 600_000
    tables = [name for (name,) in shop.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    assert len(tables) == 11
    assert sum(shop.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0] for table in tables) > 4000
    assert shop.execute("PRAGMA foreign_key_check").fetchall() == []

    def one(query: str) -> Any:
        return shop.execute(query).fetchone()[0]

    assert one("SELECT COUNT(DISTINCT brand) FROM bicycles") > one(
        "SELECT COUNT(DISTINCT LOWER(TRIM(brand))) FROM bicycles"
    )
    assert one("SELECT COUNT(*) FROM customers WHERE joined LIKE '__.__.____'") > 0
    assert one("SELECT COUNT(*) FROM customers WHERE joined LIKE '____-__-__'") > 0
    assert one("SELECT COUNT(*) FROM customers WHERE email IS NULL") > 0
    assert one("SELECT COUNT(*) FROM invoices WHERE amount > 10000") == 1


def test_sixty_questions_of_three_difficulties() -> None:
    assert Counter(question["difficulty"] for question in QUESTIONS) == {
        "simple": 20, "moderate": 20, "challenging": 20,
    }  # fmt: skip
    assert len({question["id"] for question in QUESTIONS}) == 60
    assert len({question["question"] for question in QUESTIONS}) == 60
    assert len({parsed(question).sql(normalize=True) for question in QUESTIONS}) == 60
    wanted = {"simple": range(1), "moderate": range(1, 3), "challenging": range(3, 9)}
    assert [q["id"] for q in QUESTIONS if effort(q) not in wanted[q["difficulty"]]] == []


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question["id"])
async def test_a_gold_query_has_an_answer_that_says_something(question: dict[str, Any]) -> None:
    table = await SQL(databases=DATA).open(question["db_id"]).query(question["sql"])
    assert table.rows
    assert not table.more
    assert all(value is not None and value != 0 for row in table.rows for value in row)


@pytest.mark.parametrize(
    "question", [question for question in QUESTIONS if parsed(question).args.get("limit")], ids=lambda one: one["id"]
)
def test_what_is_first_is_first_alone(question: dict[str, Any], shop: sqlite3.Connection) -> None:
    query = parsed(question)
    limit = int(query.args["limit"].expression.this)
    named = {column.alias: column.this for column in query.selects if column.alias}
    by = query.args["order"].expressions[0].this
    query.set("limit", None)
    keys = [row[-1] for row in shop.execute(query.select(named.get(by.sql(), by)).sql("sqlite"))]
    assert keys[limit - 1] != keys[limit]
