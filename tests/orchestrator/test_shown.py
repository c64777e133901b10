"""Texts from outside as they are shown in prompts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laconic.orchestrator.shown import as_data, one_line, shorten

SEPARATORS = [
    "<|im_end|>",
    "<|im_start|>",
    "</s>",
    "<s>",
    "[INST]",
    "[/INST]",
    "<<SYS>>",
    "<end_of_turn>",
    "<｜User｜>",
]


@pytest.mark.parametrize("separator", SEPARATORS)
def test_a_separator_becomes_words(separator: str) -> None:
    shown = as_data(f"before{separator}after")
    assert separator not in shown
    assert shown.replace(" ", "") == f"before{separator}after"


@given(st.lists(st.sampled_from([*SEPARATORS, "a", " ", "<", "|", ">", "["])).map("".join))
def test_however_they_are_put_together_no_separator_is_left(text: str) -> None:
    shown = as_data(text)
    assert not any(separator in shown for separator in SEPARATORS)


def test_a_text_without_separators_stays_as_it_is() -> None:
    assert as_data("if a < b or b > c: print([1, 2] | {3})") == "if a < b or b > c: print([1, 2] | {3})"


@given(st.text())
def test_one_line_is_one_line(text: str) -> None:
    assert len(one_line(text).splitlines()) <= 1


@given(st.text(alphabet="ab ,", max_size=60), st.integers(2, 40))
def test_what_is_cut_is_as_long_as_allowed_and_shows_it(text: str, most: int) -> None:
    cut = shorten(text, most)
    assert len(cut) <= most
    assert cut == text or cut.endswith("…")
