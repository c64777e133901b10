"""The query in what a model wrote: found wherever it stands, and nothing else is ever taken for one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laconic.planners.sql.written import read_query

QUERY = "SELECT name FROM people WHERE age > 3"


@pytest.mark.parametrize(
    "text",
    [
        QUERY,
        f"{QUERY};",
        f"```sql\n{QUERY};\n```",
        f"```\n{QUERY}\n```\nThis query selects the names.",
        f"Sure! Here's the query:\n\n```sqlite\n{QUERY}\n```",
        f"```sql\n{QUERY};",
        f"The query is: {QUERY};",
        f"**SQL:** {QUERY}",
        f"You can use `{QUERY}` for that.",
        f"> {QUERY}\n\nIt's what you need.",
        f"{QUERY}\n\nWith this query you select people's names.",
        f"You may run {QUERY}",
        f"Parts:\n```sql\nSELECT 1\n```\nTogether:\n```sql\n{QUERY}\n```\nDone.",
        f"Parts: `SELECT 1`.\n```sql\n{QUERY}\n```\nIt uses SELECT and WHERE.",
        f"SELECT 1;\n{QUERY};",
        f"{QUERY};\nSELECT broken FROM (SELECT",
        f"{QUERY}; DROP TABLE people;",
        f"```sql\nDROP TABLE people;\n{QUERY};\n```",
        f"```sql\n-- the ages: SELECT age FROM people\n/* SELECT 1; */\n{QUERY}\n```",
        f"```sql\n-- the names; all of them\n{QUERY}\n```",
        f"```sql\n{QUERY}\n```\n```sql\nDROP TABLE people\n```",
    ],
)
def test_a_query_in_what_models_write_around_it(text: str) -> None:
    assert read_query(text) == QUERY


@pytest.mark.parametrize(
    "query",
    [
        "select max(a) from t",
        "WITH x AS (SELECT 1 AS a) SELECT a FROM x",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9)\n\nSELECT i FROM n",
        "SELECT a FROM t\n\nUNION\n\nSELECT b FROM u",
        "SELECT 'it''s; over' FROM t",
        'SELECT "odd;name" FROM [a (table]',
        "SELECT a /* ); */ FROM t -- );\nWHERE b = 1",
        "SELECT a FROM t WHERE b IN (SELECT c FROM u WHERE d = ')')",
    ],
)
@pytest.mark.parametrize("around", ["{}", "```sql\n{};\n```", "Here it is:\n{};\nThat is all."])
def test_queries_of_every_shape_are_taken_whole(query: str, around: str) -> None:
    assert read_query(around.format(query)) == query


@pytest.mark.parametrize(
    "text",
    [
        "",
        "I cannot answer that.",
        "DROP TABLE people;",
        "```sql\nDELETE FROM people\n```",
        "With these tables you can do a lot.",
        "Select the names of all people.",
        "SELECT name FROM (SELECT",
        "SELECT 'open",
        "UPDATE people SET selected = 1",
    ],
)
def test_where_there_is_no_query_none_is_read(text: str) -> None:
    assert read_query(text) == ""


names = st.from_regex(r"[a-z_]{1,8}", fullmatch=True).filter(lambda name: name not in {"select", "with"})
texts = st.text(st.characters(codec="ascii", exclude_categories=("Cc",)), max_size=12)


@st.composite
def queries(draw: st.DrawFn, depth: int = 2) -> str:
    table = draw(names) if depth == 0 or draw(st.booleans()) else f"({draw(queries(depth - 1))})"
    value = "'" + draw(texts).replace("'", "''") + "'"
    return f"SELECT {draw(names)} FROM {table} WHERE {draw(names)} = {value}"


@given(queries(), st.sampled_from(["{}", "{};", "```sql\n{}\n```\nSo it's done.", "It's this:\n{};\n\nSelect it."]))
def test_any_query_comes_out_as_it_went_in(query: str, around: str) -> None:
    if "```" not in query:
        assert read_query(around.format(query)) == query


@given(st.text(st.sampled_from("SELECT WITH AS(x) FROM '`;-\n\"[/*]")) | st.text())
def test_whatever_a_model_writes_is_read_without_failing(text: str) -> None:
    found = read_query(text)
    assert found in text
    assert not found or found[:6].upper() == "SELECT" or found[:4].upper() == "WITH"


@pytest.mark.parametrize("text", ["```SELECT name FROM t```", "The answer: ```with x as (select 1) select * from x```"])
def test_a_fence_without_a_language_may_begin_with_the_query(text: str) -> None:
    assert read_query(text).lower().startswith(("select name", "with x as"))
