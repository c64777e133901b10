"""What one token says: read from its logprobs, in several orders of the labels."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laconic.backends import Completion, TokenLogprob, Usage
from laconic.orchestrator.one_token import rotations
from laconic.orchestrator.verdict import combined, read


def completion(probabilities: dict[str, float]) -> Completion:
    top = tuple(sorted(((token, math.log(p)) for token, p in probabilities.items()), key=lambda pair: -pair[1]))
    token, logprob = top[0]
    return Completion(
        text=token,
        usage=Usage(40, 1, 0, 0, 0),
        finish_reason="length",
        logprobs=(TokenLogprob(token, logprob, None, top),),
    )


@pytest.mark.parametrize("number", [1, 2, 3, 4, 9])
def test_rotations_put_each_label_in_each_place_once_when_there_are_enough(number: int) -> None:
    labels = ["a", "b", "c", "d"]
    orders = rotations(labels, number)
    assert len(set(orders)) == len(orders) == min(number, 4)
    for place in range(4):
        assert len({order[place] for order in orders}) == len(orders)


@given(
    st.dictionaries(st.text(max_size=3), st.floats(1e-12, 1.0), min_size=1, max_size=20),
    st.lists(st.text(min_size=1, max_size=4), min_size=2, max_size=26, unique=True),
    st.booleans(),
)
def test_whatever_tokens_come_the_probabilities_are_some(tokens: Any, labels: list[str], restricted: bool) -> None:
    reading = read(completion(tokens), labels, restricted=restricted)
    verdict = combined([reading], labels)
    assert sum(verdict.probabilities.values()) == pytest.approx(1)
    assert list(verdict.probabilities) == labels
    assert verdict.mass is None or 0 <= verdict.mass <= 1


def test_a_label_that_was_not_reported_once_is_not_ruled_out() -> None:
    first = read(completion({"A": 0.9, "x": 0.1}), ["yes", "no"], restricted=False)
    second = read(completion({"A": 0.999, "B": 0.001}), ["no", "yes"], restricted=False)
    assert first.probabilities == pytest.approx({"yes": 0.9, "no": 0.1})
    assert combined([first, second], ["yes", "no"]).label == "no"


def test_labels_that_no_token_stands_for_are_told_from_the_least_likely() -> None:
    reading = read(completion({"C": 0.7, "A": 0.2, "x": 0.1}), ["one", "two", "three"], restricted=False)
    assert reading.named == {"one", "three"}
    assert reading.probabilities["two"] <= reading.probabilities["one"]


def test_a_floor_decides_how_unlikely_a_label_can_be() -> None:
    said = completion({"A": 1.0, "B": 1e-9, "C": 1e-8})
    level = read(said, ["one", "two", "three"], restricted=False).probabilities
    apart = read(said, ["one", "two", "three"], restricted=False, floor=1e-300).probabilities
    assert level["two"] == level["three"]
    assert apart["two"] < apart["three"]
