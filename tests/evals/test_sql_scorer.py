"""Judging queries: what runs, what does not, and which fault is whose."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from laconic.errors import FlowError
from laconic.evals import Item
from laconic.evals.sql_scorer import BirdScorer, SpiderScorer, SQLScorer


@pytest.fixture
def databases(tmp_path: Path) -> Path:
    (tmp_path / "zoo").mkdir()
    with closing(sqlite3.connect(tmp_path / "zoo" / "zoo.sqlite")) as database:
        database.executescript(
            "CREATE TABLE animals (name, legs); INSERT INTO animals VALUES ('ant', 6), ('ape', 2), ('owl', 2)"
        )
    return tmp_path


def item(sql: Any, db_id: str = "zoo") -> Item:
    return Item("1", 1, {"question": "?", "db_id": db_id, "sql": sql})


async def right(scorer: SQLScorer, gold: str, answer: str) -> bool:
    assert await scorer.complaint(item(gold)) == ""
    scores = await scorer.scores(item(gold), answer)
    assert scores.exact == scores.partial
    return scores.exact == 1


LEGS = "SELECT DISTINCT legs FROM animals"


@pytest.mark.parametrize(
    ("gold", "answer", "spider", "bird"),
    [
        ("SELECT name FROM animals", "SELECT name FROM animals ORDER BY name DESC", True, True),
        ("SELECT name FROM animals ORDER BY name", "SELECT name FROM animals ORDER BY name DESC", False, True),
        ("SELECT name, legs FROM animals", "SELECT legs, name FROM animals", True, False),
        (LEGS, "SELECT legs FROM animals", True, True),
        ("SELECT COUNT(DISTINCT legs) FROM animals", "SELECT COUNT(legs) FROM animals", True, False),
        ("SELECT legs FROM animals", "SELECT legs FROM animals GROUP BY legs", False, True),
        ("SELECT name FROM animals", "SELECT nam FROM animals", False, False),
        ("SELECT name FROM animals", "", False, False),
        ("SELECT name FROM animals", "```sql\nSELECT name FROM animals\n```", False, False),
    ],
)
async def test_by_the_rules_of_each_script(databases: Path, gold: str, answer: str, spider: bool, bird: bool) -> None:
    assert await right(SpiderScorer(databases), gold, answer) is spider
    assert await right(BirdScorer(databases), gold, answer) is bird


@pytest.mark.parametrize(
    "answer", ["DROP TABLE animals", "SELECT 1; DELETE FROM animals", "\0", "SELECT '" + "x" * 10**6]
)
async def test_a_hostile_answer_is_wrong_and_changes_nothing(databases: Path, answer: str) -> None:
    before = (databases / "zoo" / "zoo.sqlite").read_bytes()
    for scorer in (SpiderScorer(databases), BirdScorer(databases)):
        assert not await right(scorer, "SELECT 1", answer)
    assert (databases / "zoo" / "zoo.sqlite").read_bytes() == before


async def test_an_answer_that_runs_for_ever_or_gives_too_much_is_wrong(databases: Path) -> None:
    scorer = BirdScorer(databases, seconds=0.2)
    count = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n {}) SELECT {} FROM n"
    assert not await right(scorer, LEGS, count.format("", "SUM(i)"))
    assert not await right(BirdScorer(databases), "SELECT 1", count.format("LIMIT 200000", "1"))


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        (item("SELECT nothing FROM animals"), "its gold query cannot be run: .*nothing"),
        (item("DELETE FROM animals"), "its gold query cannot be run: only SELECT"),
        (item("SELECT 1", "zooo"), "its gold query cannot be run: there is no database 'zooo'.*zoo"),
        (item({"select": []}), r"its gold query \(`sql`\) is empty or no text"),
        (Item("1", 1, {"question": "?"}), "no field 'sql'"),
        (
            item("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 200000) SELECT i FROM n"),
            "its gold query gives more than 100,000 rows",
        ),
    ],
)
async def test_gold_that_cannot_be_judged_by_is_a_fault_of_the_data(databases: Path, asked: Item, why: str) -> None:
    assert re.search(why, await BirdScorer(databases).complaint(asked))


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(FlowError, match="no folder of databases"):
        BirdScorer(tmp_path / "none")
