"""How fast: what was under way together is timed together."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laconic.accounting.activation import Tokens
from laconic.evals import Row
from laconic.evals.spells import Spell, speed, spells

START = 1_800_000_000.0


def took(flow: str, begin: float, end: float, **more: object) -> Row:
    fields = {"completion": 10, "total": 100, "finished": START + end, "seconds": end - begin, **more}
    return Row(flow=flow, id=str(begin), key="k", run="r", **fields)  # type: ignore[arg-type]  # fields by name


def test_flows_that_were_under_way_together_are_timed_together_and_others_apart() -> None:
    rows = [took("a", 0, 4), took("b", 3, 9), took("c", 20, 22), took("c", 21, 25)]
    both, alone = spells(rows)
    assert both == Spell(flows=("a", "b"), answers=2, seconds=9.0, written=20, total=200, avoided=0)
    assert alone == Spell(flows=("c",), answers=2, seconds=5.0, written=20, total=200, avoided=0)


def test_the_time_between_answers_does_not_count() -> None:
    (one,) = spells([took("a", 0, 4), took("a", 4, 6), took("a", 1000, 1001)])
    assert (one.answers, one.seconds) == (3, 7.0)


def test_tokens_that_were_replaced_are_not_written() -> None:
    roles = {"small": Tokens(generated=30, written=20, replaced=10), "large": Tokens(generated=5, written=5)}
    assert speed([took("a", 0, 5, roles=roles, completion=35, avoided=7)]) == [["a", "1", "5.0", "25", "≤ 5", "7"]]


def test_what_was_mostly_reused_has_no_speed() -> None:
    assert [row[4] for row in speed([took("a", 0, 5, avoided=11), took("b", 9, 14)])] == ["", "2"]


def test_items_that_were_asked_together_began_together() -> None:
    rows = [took("batch", 100, 102.5, together=4), took("batch", 100, 102.5, together=4)]
    (one,) = spells(rows)
    assert (one.answers, one.seconds) == (2, 10.0)


def test_answers_that_took_no_time_have_no_speed() -> None:
    assert speed([took("a", 3, 3)]) == [["a", "1", "0.0", "10", "", "0"]]


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 50), st.integers(0, 20)), min_size=1))
def test_no_answer_and_no_second_is_counted_twice(times: list[tuple[str, int, int]]) -> None:
    found = spells(took(flow, begin, begin + long) for flow, begin, long in times)
    assert sum(of.answers for of in found) == len(times)
    assert len({of.flows for of in found}) == len(found)
    busy = {second for _, begin, long in times for second in range(begin, begin + long)}
    assert sum(of.seconds for of in found) == pytest.approx(len(busy), abs=1e-3)
