"""Which tables and columns a linking names, however a model writes it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laconic.planners.sql.link import read_linking

THERE = {"shops": ["id", "city"], "repairs": ["id", "Shop_id"]}


@pytest.mark.parametrize(
    ("said", "linked"),
    [
        ({"repairs": ["id"], "SHOPS": ["City"]}, {"shops": ["city"], "repairs": ["id"]}),
        ({"table": ["shops", "repairs"]}, {"shops": [], "repairs": []}),
        (
            {"tables": ["shops"], "columns": ["shops.city", "repairs.shop_id"]},
            {"shops": ["city"], "repairs": ["Shop_id"]},
        ),
        ({"shops": ["repairs.id", "city"]}, {"shops": ["city"], "repairs": ["id"]}),
        ({"shops": "city"}, {"shops": ["city"]}),
        ({"shops": []}, {"shops": []}),
        ({"ships": ["city"]}, {}),
        ({"columns": ["city"]}, {}),
    ],
)
def test_what_is_there_is_linked(said: object, linked: dict[str, list[str]]) -> None:
    assert read_linking(f"Here: {json.dumps(said)} and so on", THERE) == linked


@given(
    st.text()
    | st.recursive(st.none() | st.text() | st.integers(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)).map(
        json.dumps
    )
)
def test_nothing_that_is_not_there_is_linked(text: str) -> None:
    for table, columns in read_linking(text, THERE).items():
        assert set(columns) <= set(THERE[table])
