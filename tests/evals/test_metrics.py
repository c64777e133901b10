"""Exact match and F1, held against the rules of SQuAD's and HotpotQA's own scripts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laconic.evals import best_scores, exact_match, normalise, token_f1
from laconic.evals.data import Item
from laconic.evals.scoring import NumberScorer


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("The  Eiffel Tower.", "eiffel tower"),
        ("An apple a day", "apple day"),
        ("1,047 km", "1047 km"),
        ("U.S.A.", "usa"),
        ("theory", "theory"),
        ("  ", ""),
        ("Łódź!", "łódź"),
    ],
)
def test_normalise(text: str, normal: str) -> None:
    assert normalise(text) == normal


def test_exact_match_ignores_case_articles_and_punctuation() -> None:
    assert exact_match("the Vistula.", "Vistula") == 1
    assert exact_match("Vistula river", "Vistula") == 0


@pytest.mark.parametrize(
    ("answer", "gold", "f1"),
    [
        ("the river Vistula", "Vistula", 2 / 3),
        ("Vistula", "the Vistula", 1.0),
        ("cat cat dog", "cat dog dog", 2 / 3),
        ("red", "blue", 0.0),
        ("", "blue", 0.0),
        # HotpotQA: a closed answer is right or wrong, never in part.
        ("yes", "yes", 1.0),
        ("yes it is", "yes", 0.0),
        ("no", "no mountain", 0.0),
        ("noanswer given", "noanswer", 0.0),
    ],
)
def test_token_f1(answer: str, gold: str, f1: float) -> None:
    assert token_f1(answer, gold) == pytest.approx(f1)


def test_the_best_of_several_gold_answers_counts_for_each_score() -> None:
    assert best_scores("Hesse", ["Hessen", "Hesse"]) == (1.0, 1.0)
    assert best_scores("state of Hesse", ["Hessen", "Hesse"]) == (0.0, pytest.approx(0.5))
    assert best_scores("anything", []) == (0.0, 0.0)


@given(st.text(), st.text())
def test_f1_is_between_0_and_1_and_symmetric(one: str, other: str) -> None:
    assert 0 <= token_f1(one, other) <= 1
    assert token_f1(one, other) == pytest.approx(token_f1(other, one))
    if exact_match(one, other) and normalise(one):
        assert token_f1(one, other) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ("6 * 3 = 18 dollars", 1),
        ("18 - 2 = 16", 0),
        ("Half of 36 is left.\nAnswer: $18.00 (of 36)\nAnswer: **18**", 1),
        ("Answer: 18\nThat took 3 steps.", 1),
        ("Answer: 1,800 cents", 0),
        ("Half of 36 is 18, so she makes $18.\n\nI hope this helps!", 1),
        ("That is 18%", 1),
        ("36-18", 1),
        ("\N{MINUS SIGN}18", 0),
        ("18.5", 0),
        ("", 0),
        ("none", 0),
    ],
)
async def test_a_calculation_is_judged_by_the_number_it_ends_with(answer: str, right: int) -> None:
    item = Item("one", 1, {"question": "?", "answer": "18"})
    assert (await NumberScorer().scores(item, answer)).exact == right


async def test_a_gold_answer_that_is_no_number_is_told_before_anything_is_asked() -> None:
    assert "no number" in await NumberScorer().complaint(Item("one", 1, {"answer": "a dozen"}))
    assert not await NumberScorer().complaint(Item("one", 1, {"answer": "-1,200.5"}))
