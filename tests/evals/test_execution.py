"""Execution accuracy, worked out by hand, where Spider's and BIRD's scripts agree and where they do not."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laconic.evals.execution import as_spider_runs, bird_equal, orders, spider_equal
from laconic.tools.sql.table import Table

Rows = list[tuple[Any, ...]]


def table(rows: Rows) -> Table:
    return Table(tuple(f"c{place}" for place in range(len(rows[0]) if rows else 1)), tuple(rows))


@pytest.mark.parametrize(
    ("gold", "said", "spider", "spider_in_order", "bird"),
    [
        pytest.param([(1,), (2,)], [(1,), (2,)], True, True, True, id="the same"),
        pytest.param([(1,), (2,)], [(2,), (1,)], True, False, True, id="another order of rows"),
        pytest.param([(1,), (1,), (2,)], [(1,), (2,)], False, False, True, id="a row once instead of twice"),
        pytest.param([(1,), (1,), (2,)], [(1,), (2,), (2,)], False, False, True, id="another row twice"),
        pytest.param([(1, "a"), (2, "b")], [("a", 1), ("b", 2)], True, True, False, id="another order of columns"),
        pytest.param([(1, 2), (2, 1)], [(1, 1), (2, 2)], False, False, False, id="the same columns, other rows"),
        pytest.param([(1, 2), (3, 4)], [(2, 1), (3, 4)], False, False, False, id="columns exchanged in one row only"),
        pytest.param([(1,)], [(1, 1)], False, False, False, id="a column too many"),
        pytest.param([], [], True, True, True, id="nothing and nothing"),
        pytest.param([(1,)], [], False, False, False, id="nothing said"),
        pytest.param([], [(None,)], False, False, False, id="a NULL is a row"),
        pytest.param([(2,)], [(2.0,)], True, True, True, id="2 and 2.0"),
        pytest.param([("2",)], [(2,)], False, False, False, id="text and number"),
        pytest.param([("Ann",)], [("ann",)], False, False, False, id="another case"),
        pytest.param([(None, 1)], [(None, 1)], True, True, True, id="NULL is NULL"),
        pytest.param([(0.1 + 0.2,)], [(0.3,)], False, False, False, id="nothing is rounded"),
    ],
)
def test_the_scripts_verdicts(gold: Rows, said: Rows, spider: bool, spider_in_order: bool, bird: bool) -> None:
    assert spider_equal(table(gold), table(said), ordered=False) is spider
    assert spider_equal(table(gold), table(said), ordered=True) is spider_in_order
    assert bird_equal(table(gold), table(said)) is bird


@given(
    st.lists(st.tuples(*[st.sampled_from([0, 1, "x", None])] * 4), min_size=1, max_size=12),
    st.permutations(range(4)),
    st.integers(0, 1000),
)
def test_any_order_of_columns_and_rows_is_the_same_for_spider(rows: Rows, columns: list[int], seed: int) -> None:
    turned = [tuple(row[column] for column in columns) for row in rows]
    assert spider_equal(table(rows), table(turned), ordered=True)
    random.Random(seed).shuffle(turned)
    assert spider_equal(table(rows), table(turned), ordered=False)


def test_many_columns_that_are_alike_take_no_time() -> None:
    wide = [tuple(row % 2 for _ in range(60)) for row in range(50)]
    other = [*wide[:-1], (0, *wide[-1][1:])]
    assert spider_equal(table(wide), table(wide), ordered=False)
    assert not spider_equal(table(wide), table(other), ordered=False)


@pytest.mark.parametrize(
    ("written", "run"),
    [
        ("SELECT DISTINCT name FROM t", "SELECT  name FROM t"),
        ("SELECT count(distinct a) FROM t", "SELECT count( a) FROM t"),
        ("SELECT 'DISTINCT é' , DISTINCT x", "SELECT 'DISTINCT é' ,  x"),
        ("SELECT * FROM t WHERE a > = 3 AND b ! = 4", "SELECT * FROM t WHERE a >= 3 AND b != 4"),
        ("SELECT a IS NOT DISTINCT FROM b", "SELECT a IS NOT DISTINCT FROM b"),
        ("no 'SQL at all", "no 'SQL at all"),
        ("", ""),
    ],
)
def test_spider_runs_queries_without_distinct(written: str, run: str) -> None:
    assert as_spider_runs(written) == run


def test_order_counts_where_the_gold_query_orders() -> None:
    assert orders("SELECT a FROM t Order By a")
    assert not orders("SELECT a FROM orders")
