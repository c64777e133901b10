from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laconic.accounting import Calibration, Call, ideal_runtime
from laconic.accounting.runtimes import longest_chain
from laconic.backends.usage import NOTHING, UNKNOWN, Usage
from laconic.errors import InputError

Make = Callable[..., Call]

SLOW = Calibration(model="big", prefill=((100, 1.0),), per_token=0.1)
FAST = Calibration(model="little", prefill=((100, 0.1),), per_token=0.01)
BOTH = {"large": SLOW, "small": FAST}

spans = st.lists(st.tuples(st.integers(0, 8), st.integers(0, 4), st.integers(0, 9)), max_size=7)


def tried_out(spans: list[tuple[float, float]], weights: list[float]) -> float:
    """The longest chain, by trying all of them."""

    def onwards(last: int, left: frozenset[int]) -> float:
        nexts = [i for i in left if spans[last][1] <= spans[i][0]]
        return weights[last] + max((onwards(i, left - {i}) for i in nexts), default=0.0)

    everything = frozenset(range(len(spans)))
    return max((onwards(i, everything - {i}) for i in everything), default=0.0)


@given(drawn=spans)
def test_the_longest_chain_is_the_longest(drawn: list[tuple[int, int, int]]) -> None:
    times = [(float(begin), float(begin + lasting)) for begin, lasting, _ in drawn]
    weights = [float(weight) for *_, weight in drawn]
    assert longest_chain(times, weights) == tried_out(times, weights)


def test_calls_side_by_side_are_waited_for_once(make: Make) -> None:
    calls = [
        make(100, 0, node="plan", started=0.0, seconds=2.0),
        make(200, 10, node="E1", started=2.5, seconds=1.0),
        make(100, 10, node="E2", started=2.5, seconds=7.0),
        make(100, 10, node="solve", started=9.5, seconds=1.0),
    ]
    found = ideal_runtime(calls, BOTH)
    assert found.calls == 4
    assert found.seconds == pytest.approx(1 + 3 + 2 + 2)
    assert found.critical_path == pytest.approx(1 + 3 + 2), "the longest in seconds of the model, not as it happened"
    assert found.measured == 11.0
    assert found.show(found.seconds) == "8.000"


def test_each_call_takes_as_long_as_its_model(make: Make) -> None:
    calls = [make(100, 10, model="large", seconds=1.0), make(100, 10, model="other", served="little", started=5.0)]
    assert ideal_runtime(calls, {"large": SLOW, "little": FAST}).seconds == pytest.approx(2.0 + 0.2)


def test_all_attempts_cost_seconds_and_replayed_answers_would_have(make: Make) -> None:
    calls = [
        make(100, 10, status="failed", attempt=1),
        make(100, 10, status="discarded", attempt=2),
        make(status="replayed", usage=NOTHING, avoided=Usage(100, 20, 50)),
    ]
    found = ideal_runtime(calls, BOTH)
    assert (found.calls, found.seconds, found.avoided) == (2, pytest.approx(4.0), pytest.approx(2.5))


def test_what_is_not_known_is_a_bound(make: Make) -> None:
    cache_unsaid = make(usage=Usage(100, 10))
    assert ideal_runtime([cache_unsaid], BOTH).show(1.5) == "≤ 1.500"
    assert ideal_runtime([make(usage=UNKNOWN)], BOTH).show(1.5) == "≥ 1.500"
    assert ideal_runtime([cache_unsaid, make(usage=UNKNOWN)], BOTH).show(1.5) == "~ 1.500"
    assert ideal_runtime([cache_unsaid], BOTH).seconds == pytest.approx(2.0)


def test_reused_answers_bound_what_they_avoided_and_not_what_was_spent(make: Make) -> None:
    def reused(usage: Usage) -> Call:
        return make(status="replayed", usage=NOTHING, avoided=usage)

    found = ideal_runtime([make(100, 10), reused(Usage(100, 20)), reused(Usage(100, 20, 0))], BOTH)
    assert (found.show(found.seconds), found.show(found.critical_path)) == ("2.000", "2.000")
    assert (found.cache_unsaid, found.avoided_cache_unsaid) == (0, 1)
    assert found.show_avoided() == "≤ 6.000"
    assert ideal_runtime([reused(UNKNOWN)], BOTH).show_avoided() == "≥ 0.000"
    spent = ideal_runtime([make(usage=Usage(100, 10)), make(usage=UNKNOWN), reused(Usage(100, 20, 50))], BOTH)
    assert (spent.show(spent.seconds), spent.show_avoided()) == ("~ 2.000", "2.500")
    assert ideal_runtime([make(100, 10)], BOTH).show_avoided() == ""


def test_a_model_without_a_calibration_is_named(make: Make) -> None:
    with pytest.raises(
        InputError, match=r"'tiny' \(role 'judge'\), but of 'large', 'small'.*laconic calibrate.*judge="
    ):
        ideal_runtime([make(model="judge", served="tiny")], BOTH)


@given(data=st.data())
def test_the_critical_path_is_at_most_the_sum_and_sums_add_up(
    any_calls: st.SearchStrategy[list[Call]], data: st.DataObject
) -> None:
    one, other = data.draw(any_calls), data.draw(any_calls)
    first, second, both = (ideal_runtime(calls, BOTH) for calls in (one, other, one + other))
    assert both.seconds == pytest.approx(first.seconds + second.seconds)
    assert both.avoided == pytest.approx(first.avoided + second.avoided)
    tolerance = 1e-9 * (1 + both.seconds)
    assert max(first.critical_path, second.critical_path) <= both.critical_path + tolerance
    assert both.critical_path <= first.critical_path + second.critical_path + tolerance
    assert both.critical_path <= both.seconds + tolerance
