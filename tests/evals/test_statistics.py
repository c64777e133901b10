"""Intervals against values computed elsewhere, and the laws they must keep."""

from __future__ import annotations

import random
import statistics
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laconic.evals import bootstrap, wilson
from laconic.evals.statistics import percentile_interval, resampled_means


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [
        # Newcombe 1998 (Statistics in Medicine 17:857), table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_gives_the_published_values(successes: int, n: int, low: float, high: float) -> None:
    assert wilson(successes, n) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_holds_the_share_and_stays_between_0_and_1(drawn: tuple[int, int]) -> None:
    successes, n = drawn
    low, high = wilson(successes, n)
    assert 0 <= low <= successes / n + 1e-12
    assert successes / n - 1e-12 <= high <= 1


def test_wilson_without_observations_says_nothing() -> None:
    assert wilson(0, 0) == (0, 1)


def test_bootstrap_of_a_normal_sample_is_close_to_the_textbook_interval() -> None:
    draw = random.Random(7)
    sample = [draw.gauss(100, 15) for _ in range(200)]
    half = 1.96 * statistics.stdev(sample) / 200**0.5
    low, high = bootstrap(sample)
    middle = statistics.fmean(sample)
    assert low == pytest.approx(middle - half, abs=0.3)
    assert high == pytest.approx(middle + half, abs=0.3)


def test_the_same_values_give_the_same_interval() -> None:
    values = [0.0, 0.25, 1.0, 1.0, 0.5]
    assert bootstrap(values) == bootstrap(list(values))


def test_equal_values_have_an_interval_without_width() -> None:
    assert bootstrap([3.0] * 10) == (3.0, 3.0)
    assert bootstrap([3.0]) == (3.0, 3.0)


def test_columns_of_one_bootstrap_stay_paired() -> None:
    # One flow costs exactly twice as much on each item, however much items differ: the ratio has no spread at all.
    ours = [float(10 ** (i % 5)) for i in range(40)]
    double = [2 * value for value in ours]
    a, b = resampled_means([ours, double], resamples=500)
    assert percentile_interval([y / x for x, y in zip(a, b, strict=True)]) == pytest.approx((2.0, 2.0))
    low, high = percentile_interval(a)
    assert high > 2 * low


def test_columns_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match="same items"):
        resampled_means([[1.0], [1.0, 2.0]])


def test_percentiles_interpolate() -> None:
    assert percentile_interval([float(i) for i in range(101)]) == pytest.approx((2.5, 97.5))


def test_ten_thousand_draws_of_a_usual_set_take_a_moment() -> None:
    started = time.perf_counter()
    bootstrap([random.Random(1).random() for _ in range(250)])
    assert time.perf_counter() - started < 20
