"""Stopping early: `exact` changes no election, and waits no longer than it must."""

from __future__ import annotations

from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from laconic.planners.batch.stopping import RULES, exact
from laconic.planners.batch.votes import Vote, winner

LABELS = "abc"
WEIGHTS = st.floats(1e-6, 1) | st.sampled_from([0.1, 0.2, 0.5, 1.0])
ANY = st.none() | st.builds(Vote, st.sampled_from(LABELS), WEIGHTS, st.booleans())
PLAIN = st.none() | st.sampled_from(LABELS).map(Vote)


@settings(deadline=None)
@given(st.lists(ANY, min_size=1, max_size=11))
def test_exact_stops_with_the_winner_of_the_full_vote(votes: list[Vote | None]) -> None:
    for asked in range(len(votes) + 1):
        if exact(votes[:asked], len(votes) - asked):
            assert winner(votes[:asked]) == winner(votes) is not None


@settings(deadline=None)
@given(st.lists(ANY, max_size=6), st.integers(0, 4))
def test_exact_holds_against_every_possible_rest(votes: list[Vote | None], remaining: int) -> None:
    if exact(votes, remaining):
        now = winner(votes)
        for rest in product([None, *map(Vote, "abcd")], repeat=remaining):
            assert winner([*votes, *rest]) == now


@settings(deadline=None)
@given(st.lists(PLAIN, max_size=6), st.integers(0, 4))
def test_exact_stops_plain_votes_as_soon_as_nothing_can_change(votes: list[Vote | None], remaining: int) -> None:
    outcomes = {winner([*votes, *rest]) for rest in product([None, *map(Vote, "abcd")], repeat=remaining)}
    assert exact(votes, remaining) == (len(outcomes) == 1 and outcomes != {None})


def test_same_and_confident_look_at_the_last_two_rounds() -> None:
    sure, unsure, other = Vote("a"), Vote("a", 0.2, sure=False), Vote("b")
    assert RULES["same"]([other, sure, unsure], 5)
    assert not RULES["confident"]([other, sure, unsure], 5)
    assert RULES["confident"]([unsure, sure, sure], 5)
    for votes in ([], [sure], [sure, None], [None, sure], [sure, None, sure], [sure, other]):
        assert not RULES["same"](votes, 5)
        assert not RULES["confident"](votes, 5)


def test_never_goes_on_to_the_end() -> None:
    assert not RULES["never"]([Vote("a")] * 9, 0)
