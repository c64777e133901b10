"""The bound: what a sample can show, and what it cannot."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from laconic.planners.batch.bound import Pairs, items_needed, least_kept

COUNTS = st.integers(0, 200)


def test_figures_worked_out_by_hand() -> None:
    # n = 100, nothing disagrees: 1 - 1.28155 / 102
    assert least_kept(Pairs(100, 0, 0)) == pytest.approx(1 - 1.2815516 / 102, abs=1e-6)
    # b = 4, c = 2 of 98, 80 right singly: d = -2/100, variance = (7/100 - 0.0004) / 100
    expected = 1 + (-0.02 - 1.2815516 * ((0.07 - 0.0004) / 100) ** 0.5) / (80 / 98)
    assert least_kept(Pairs(76, 4, 2, 16)) == pytest.approx(expected, abs=1e-6)


def test_a_small_sample_without_a_disagreement_is_no_certainty() -> None:
    assert least_kept(Pairs(20, 0, 0)) < 0.95
    assert least_kept(Pairs(0, 0, 0, 20)) == 0.0


@settings(deadline=None)
@given(st.floats(0.5, 0.995), st.floats(0.05, 1.0))
def test_so_many_items_are_enough_and_one_less_is_not(floor: float, accuracy: float) -> None:
    needed = items_needed(floor, accuracy)
    for items, enough in ((needed, True), (needed - 1, False)):
        if items >= 1:
            right = accuracy * items
            shown = 1 - 1.2815515655446004 / (items + 2) * items / right
            assert (shown >= floor - 1e-9) == enough or needed == 1


@settings(deadline=None)
@given(COUNTS, COUNTS, COUNTS, COUNTS)
def test_a_lost_answer_lowers_the_bound_and_a_won_one_raises_it(both: int, single: int, other: int, no: int) -> None:
    now = least_kept(Pairs(both + 1, single, other, no + 1))
    assert least_kept(Pairs(both, single + 1, other, no + 1)) <= now
    if other <= single:
        assert least_kept(Pairs(both + 1, single, other, no)) <= 1.0


@pytest.mark.parametrize(("right", "lost", "won"), [(0.8, 0.05, 0.03), (0.95, 0.04, 0.0)])
def test_it_is_below_the_truth_about_nine_times_of_ten(right: float, lost: float, won: float) -> None:
    draw = random.Random(7)
    truth = (right - lost + won) / right
    below = 0
    for _ in range(1000):
        cells = [0, 0, 0, 0]
        for _ in range(150):
            single = draw.random() < right
            other = draw.random() >= lost / right if single else draw.random() < won / (1 - right)
            cells[(0 if other else 1) if single else (2 if other else 3)] += 1
        below += least_kept(Pairs(*cells)) <= truth
    assert 850 <= below <= 985
