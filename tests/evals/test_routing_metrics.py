"""Policies, metrics and curves of routers, against figures worked out by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laconic.evals.routing_curve import area, call_share, ceiling, cost_share, curve
from laconic.evals.routing_metrics import recovered, tep
from laconic.evals.routing_policies import always, chosen, mixture, oracle, shuffled
from laconic.evals.statistics import resampled_group_means, resampled_means
from laconic.routers.outcomes import Outcome


def item(id: str, right: list[float], tokens: list[float] | None = None) -> Outcome:
    tiers = ["small", "middle", "large"]
    costs = tokens or [10.0, 20.0, 40.0]
    return Outcome(id=id, text=id, right=dict(zip(tiers, right)), tokens=dict(zip(tiers, costs)))  # noqa: B905  # some tests give two tiers


FOUR = [item("a", [1, 1, 1]), item("b", [0, 1, 1]), item("c", [0, 0, 1]), item("d", [0, 0, 0])]


def test_fixed_tiers_and_the_oracle() -> None:
    assert [(p.accuracy, p.cost) for p in (always(t, FOUR) for t in FOUR[0].right)] == [
        (0.25, 10),
        (0.5, 20),
        (0.75, 40),
    ]
    cheap, dear = oracle(FOUR, "cheapest"), oracle(FOUR, "dearest")
    assert (cheap.accuracy, cheap.cost) == (0.75, (10 + 20 + 40 + 10) / 4)
    assert (dear.accuracy, dear.cost) == (0.75, (10 + 20 + 40 + 40) / 4)
    assert dear.shares == {"small": 0.25, "middle": 0.25, "large": 0.5}


def test_a_router_is_held_against_its_own_shares_dealt_at_random() -> None:
    router = chosen("r", FOUR, [0, 2, 2, 0])
    assert (router.accuracy, router.cost) == (0.75, 25)
    chance = shuffled(router, FOUR)
    assert (chance.accuracy, chance.cost) == (0.5 * 0.25 + 0.5 * 0.75, 25)


def test_the_best_mixture_at_a_routers_cost_is_exact() -> None:
    router = chosen("r", FOUR, [0, 2, 2, 0])
    # 25 tokens: 3/4 middle and 1/4 large are right 0.5625 of the time, more than half small and half large (0.5).
    best = mixture(router, FOUR)
    assert (best.accuracy, best.cost) == pytest.approx((0.5625, 25))
    assert best.shares == pytest.approx({"small": 0, "middle": 0.75, "large": 0.25})


def test_a_dear_tier_that_is_no_better_is_not_mixed_in() -> None:
    outcomes = [item("a", [1, 0, 0]), item("b", [0, 1, 0])]
    best = mixture(chosen("r", outcomes, [2, 2]), outcomes)
    assert (best.accuracy, best.cost) == (0.5, 10)


@pytest.mark.parametrize(
    ("accuracy", "tokens", "value", "why"),
    [
        (0.6, 150, 0.4, ""),  # 20 % more right for 50 % more tokens
        (0.4, 150, -0.4, "more tokens, less right"),
        (0.4, 50, 0.4, "fewer tokens, less right"),
        (0.6, 50, -0.4, "fewer tokens, more right"),
        (0.5, 50, 0.0, "fewer tokens, as right"),
        (0.6, 100, None, "as many tokens as the base"),
    ],
)
def test_tep_and_what_its_sign_means(accuracy: float, tokens: float, value: float | None, why: str) -> None:
    found = tep(accuracy, tokens, 0.5, 100)
    assert found.why == why
    assert found.value == (None if value is None else pytest.approx(value))


def test_tep_over_a_base_that_is_never_right_is_undefined() -> None:
    assert tep(0.5, 200, 0, 100).value is None


def test_the_gap_recovered() -> None:
    assert recovered(0.7, 0.5, 0.9) == pytest.approx(0.5)
    assert recovered(0.7, 0.9, 0.9) is None


def test_a_curve_its_area_and_what_a_share_of_the_gap_costs() -> None:
    # Small and large alone: costs 10 and 40, right 0.25 and 0.75. The router at cost 25 is as right as large.
    router = chosen("r", FOUR, [0, 2, 2, 0])
    points = curve([router], FOUR)
    assert [(p.cost, p.quality, p.calls) for p in points] == [(0, 0, 0), (0.5, 1, 0.5), (1, 1, 1)]
    assert area(points) == pytest.approx(0.25 + 0.5)
    assert cost_share(points, 0.8) == pytest.approx(0.4)
    assert call_share(points, 0.5) == pytest.approx(0.25)
    assert area(curve([], FOUR)) == 0.5
    assert call_share(curve([], FOUR), 0.8) == pytest.approx(0.8)


def test_a_quality_that_is_never_reached_has_no_share() -> None:
    assert call_share(curve([], FOUR), 1.5) is None


def test_there_is_no_curve_without_a_gap() -> None:
    assert curve([], [item("a", [1, 1, 1])]) == []
    assert ceiling([item("a", [1, 1, 1])]) == []


def test_the_ceiling_takes_the_steps_that_gain_most_for_a_token_first() -> None:
    # b: 10 tokens more; c: 30 more; nothing helps d. The gap is 2 items, the span 120 tokens.
    points = ceiling(FOUR)
    assert [(round(p.cost, 4), p.quality) for p in points] == [(0, 0), (0.0833, 0.5), (0.3333, 1), (1, 1)]
    assert area(points) == pytest.approx(0.0833 * 0.25 + 0.25 * 0.75 + 0.6667, abs=1e-3)


@given(st.lists(st.tuples(*[st.sampled_from([0.0, 1.0])] * 3), min_size=2, max_size=12), st.data())
def test_no_choice_of_tiers_lies_above_the_ceiling(rights: list[tuple[float, ...]], data: st.DataObject) -> None:
    outcomes = [item(str(n), list(right)) for n, right in enumerate(rights)]
    top = ceiling(outcomes)
    if not top:
        return
    numbers = data.draw(st.lists(st.integers(0, 2), min_size=len(rights), max_size=len(rights)))
    for point in curve([chosen("r", outcomes, numbers)], outcomes):
        reached = cost_share(top, point.quality - 1e-9)
        assert reached is not None
        assert reached <= point.cost + 1e-6


def test_whole_groups_are_drawn_together() -> None:
    column, groups = [0.0] * 50 + [1.0] * 50, ["a"] * 50 + ["b"] * 50
    (over_groups,) = resampled_group_means([column], groups)
    assert set(over_groups) == {0.0, 0.5, 1.0}
    assert sum(over_groups) / len(over_groups) == pytest.approx(0.5, abs=0.02)
    (over_rows,) = resampled_means([column], resamples=200)
    assert len(set(over_rows)) > 5


def test_a_draw_of_groups_of_different_sizes_is_a_mean_over_their_rows() -> None:
    (means,) = resampled_group_means([[1.0, 0.0, 0.0, 0.0]], ["a", "b", "b", "b"])
    assert set(means) == {0.0, 0.25, 1.0}
