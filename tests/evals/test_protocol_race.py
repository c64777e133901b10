"""The race between ways to talk, on simulated rewards."""

from __future__ import annotations

import random

import pytest

from laconic.evals.protocols.race import LEAST_ITEMS, Race


def race_of(means: dict[str, float], items: int, draw: random.Random) -> Race:
    """Arms that answer rightly by chance, on items that are harder or easier for all of them."""
    race = Race(list(means))
    for _ in range(items):
        ease = draw.gauss(0, 0.3)
        race.add({arm: means[arm] + ease + draw.choice((-0.4, 0.4)) for arm in race.running})
        if len(race.running) == 1:
            break
    return race


def test_the_best_arm_is_practically_never_dropped() -> None:
    draw = random.Random(3)
    means = {"a": 0.5, "b": 0.45, "best": 0.55, "c": 0.5}
    races = [race_of(means, 50, draw) for _ in range(100)]
    assert sum("best" in race.out for race in races) <= 1


def test_an_arm_as_good_as_the_best_hardly_ever_leaves() -> None:
    draw = random.Random(4)
    races = [race_of(dict.fromkeys("abc", 0.5), 50, draw) for _ in range(60)]
    assert sum(len(race.out) for race in races) <= len(races) * 3 * 0.05 * 1.5


def test_a_clearly_worse_arm_leaves_early_and_the_rest_stays() -> None:
    draw = random.Random(5)
    races = [race_of({"good": 0.8, "worse": 0.1, "near": 0.79}, 40, draw) for _ in range(30)]
    assert all(race.out.get("worse", 99) < 40 for race in races)
    assert sum("near" in race.out for race in races) <= 3
    assert sum(race.out["worse"] for race in races) / 30 < 25


def test_nobody_leaves_before_the_least_number_of_items_and_what_left_gets_no_more_rewards() -> None:
    race = Race(["a", "b"])
    for number in range(1, LEAST_ITEMS + 1):
        left = race.add({"a": 1.0, "b": -1.0})
        assert left == (["b"] if number == LEAST_ITEMS else [])
    race.add({"a": 0.0})
    assert (race.best, race.out, len(race.rewards["b"])) == ("a", {"b": LEAST_ITEMS}, LEAST_ITEMS)
    assert race.mean("a") == pytest.approx(LEAST_ITEMS / (LEAST_ITEMS + 1))


def test_the_same_rewards_end_the_same() -> None:
    means = {"a": 0.9, "b": 0.2, "c": 0.5}
    ends = [race_of(means, 60, random.Random(6)).out for _ in range(2)]
    assert ends[0] == ends[1] != {}
