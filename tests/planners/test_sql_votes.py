"""Votes by result: who wins, and how few of them have to be asked for."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from laconic.planners.sql.attempt import Attempt
from laconic.planners.sql.votes import Votes
from laconic.tools.sql.table import Table

FAILED = Attempt("SELECT x", problem="no such column: x")
EMPTY = Attempt("SELECT 1 WHERE 0", Table(("1",), ()), "It runs, but it finds nothing.")


def gave(*values: object, sql: str = "") -> Attempt:
    return Attempt(sql or f"SELECT {values}", Table(("a",), tuple((value,) for value in values)))


def counted(most: int, *attempts: Attempt) -> Votes:
    votes = Votes(most)
    for attempt in attempts:
        votes.add(attempt)
    return votes


def test_the_largest_group_wins_with_its_first_query() -> None:
    votes = counted(4, gave(1), gave(2, 3, sql="first"), gave(3, 2, sql="second"), FAILED)
    assert votes.winner == gave(2, 3, sql="first")


def test_of_equal_groups_the_first_wins() -> None:
    assert counted(2, gave(1), gave(2)).winner == gave(1)


def test_what_fails_or_finds_nothing_does_not_vote() -> None:
    assert counted(3, FAILED, EMPTY, EMPTY).winner is None
    assert counted(4, FAILED, EMPTY, EMPTY, gave(1)).winner == gave(1)


def test_results_are_equal_up_to_the_order_and_the_last_digits_but_not_in_how_often_a_row_is_there() -> None:
    assert counted(3, gave(9), gave(0.1 + 0.2, "x"), gave("x", 0.3)).winner == gave(0.1 + 0.2, "x")
    assert counted(3, gave(9), gave(1, 1), gave(1)).winner == gave(9)


@pytest.mark.parametrize(
    ("most", "attempts", "needed"),
    [
        (1, [gave(1)], 0),
        (2, [gave(1)], 0),
        (3, [gave(1)], 1),
        (3, [gave(1), gave(1)], 0),
        (3, [gave(1), gave(2)], 1),
        (3, [FAILED], 1),
        (5, [gave(1)], 2),
        (5, [gave(1), gave(1), gave(1)], 0),
        (4, [gave(2), gave(1), gave(1)], 1),
    ],
)
def test_no_more_are_needed_than_can_change_the_winner(most: int, attempts: list[Attempt], needed: int) -> None:
    assert counted(most, *attempts).needed == needed


@settings(deadline=None)
@given(st.integers(1, 5), st.lists(st.sampled_from("abcx"), max_size=5))
def test_voting_ends_as_soon_as_and_not_before_nothing_can_change(most: int, cast: list[str]) -> None:
    cast = cast[:most]
    attempts = {letter: gave(letter) for letter in "abcd"} | {"x": FAILED}
    needed = counted(most, *map(attempts.get, cast)).needed  # type: ignore[arg-type]  # every letter is a key
    left = most - len(cast)

    def winners(so_far: list[str], more: int) -> set[Attempt | None]:
        return {
            counted(most, *(attempts[letter] for letter in (*so_far, *rest))).winner
            for rest in product("abcdx", repeat=more)
        }

    assert (needed == 0) == (len(winners(cast, left)) == 1)
    for fewer in range(needed):
        assert all(len(winners([*cast, *rest], left - fewer)) > 1 for rest in product("abcx", repeat=fewer))
