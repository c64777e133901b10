"""Two short answers agree if they are the same number or the same words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laconic.orchestrator.agreement import same_answer


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("42", "42.0"),
        ("1,200", "$1200.00"),
        ("0.3333333333", "0.3333333"),
        ("50%", "0.5"),
        ("-3", "-3.00"),
        ("The Nile", "nile."),
        ("Kuala  Lumpur", "kuala lumpur"),
        ("0", "0.0"),
        ("1,500 metres", "1500 Metres"),
    ],
)
def test_the_same_in_another_spelling(one: str, other: str) -> None:
    assert same_answer(one, other)
    assert same_answer(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("42", "43"),
        ("", ""),
        ("the", "a"),
        ("1,2", "12"),
        ("1.001", "1.002"),
        ("1.5 m", "15 m"),
        ("-3", "3"),
        ("3", "x"),
    ],
)
def test_not_the_same(one: str, other: str) -> None:
    assert not same_answer(one, other)
    assert not same_answer(other, one)


@given(st.text(max_size=30), st.text(max_size=30))
def test_agreement_goes_both_ways_and_never_fails(one: str, other: str) -> None:
    assert same_answer(one, other) == same_answer(other, one)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-(10**9), max_value=10**9))
def test_a_number_agrees_with_itself_as_a_float(value: object) -> None:
    assert same_answer(str(value), f"{float(str(value)):.3f}")
