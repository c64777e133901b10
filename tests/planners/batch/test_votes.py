"""Votes: who wins does not depend on the order of the rounds."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from laconic.planners.batch.votes import Vote, lead, tally, winner

VOTES = st.lists(
    st.none() | st.builds(Vote, st.sampled_from("abc"), st.floats(1e-6, 1) | st.sampled_from([0.1, 0.2, 0.3, 1.0])),
    max_size=9,
)


@settings(deadline=None)
@given(VOTES, st.randoms(use_true_random=False))
def test_the_order_of_the_rounds_decides_nothing(votes: list[Vote | None], random: object) -> None:
    shuffled = list(votes)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis gives a random.Random
    assert winner(shuffled) == winner(votes)
    assert tally(shuffled) == tally(votes)
    assert lead(shuffled) == lead(votes)


@settings(deadline=None)
@given(VOTES)
def test_the_winner_has_more_weight_than_every_other_and_there_is_none_otherwise(votes: list[Vote | None]) -> None:
    sums = tally(votes)
    won = winner(votes)
    if won is None:
        assert len(sums) == 0 or any(a == b == max(sums.values()) for a, b in combinations(sums.values(), 2))
    else:
        assert all(sums[won] - weight >= lead(votes) > 0 for label, weight in sums.items() if label != won)


def test_abstentions_weigh_nothing() -> None:
    assert winner([None, Vote("a", 0.01), None]) == "a"
    assert winner([None, None]) is None
    assert winner([]) is None


def test_a_tie_has_no_winner_however_its_weights_are_rounded() -> None:
    assert winner([Vote("a", 0.1), Vote("a", 0.2), Vote("b", 0.2), Vote("b", 0.1)]) is None
    assert lead([Vote("a", 0.1), Vote("b", 0.3), Vote("a", 0.2)]) == Fraction(0.1) + Fraction(0.2) - Fraction(0.3)
