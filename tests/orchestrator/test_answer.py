"""The short answer in a model's final text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laconic.orchestrator.answer import short_answer, unmarked


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Paris", "Paris"),
        ("Paris.", "Paris"),
        ('"Paris"', "Paris"),
        ("**Paris**.", "Paris"),
        ("Answer: Paris", "Paris"),
        ("It is in France. Answer: Paris", "Paris"),
        ("Thinking.\n**Answer:** **Paris**", "Paris"),
        ("Answer: Rome\nNo, wait.\nFinal answer: Paris", "Paris"),
        ("The answer is Paris.", "Paris"),
        ("The final answer is: Paris", "Paris"),
        ("Answer:\n\nParis\n", "Paris"),
        ("Answer: Paris\nAnswer:", "Paris"),
        ("one line\nParis.\n", "Paris"),
        ("```\nParis\n```", "Paris"),
        ("Answer: `Paris`", "Paris"),
        ("Answer: U.S.", "U.S."),
        ("Answer: J. J. Abrams Jr.", "J. J. Abrams Jr."),
        ("Answer: 3.5", "3.5"),
        ("Answer: “Walk Like an Egyptian”", "Walk Like an Egyptian"),
        ("Answer: 'Salem's Lot", "'Salem's Lot"),
        ("He asked for an answer: none came", "He asked for an answer: none came"),
        ("Answer: see #E3 {{ x }}", "see #E3 {{ x }}"),
        ("Answer:", ""),
        ("", ""),
    ],
)
def test_the_short_answer(text: str, answer: str) -> None:
    assert short_answer(text) == answer


@given(st.text())
def test_any_text_has_a_short_answer_of_one_line(text: str) -> None:
    answer = short_answer(text)
    assert answer == answer.strip()
    assert len(answer.splitlines()) <= 1


@given(st.text())
def test_unmarking_twice_changes_nothing_more(text: str) -> None:
    assert unmarked(unmarked(text)) == unmarked(text)


@given(st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=1), st.text())
def test_the_marked_answer_wins_over_what_stands_before(answer: str, before: str) -> None:
    assert short_answer(f"{before}\nAnswer: {answer}") == answer
