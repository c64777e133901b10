"""Items as data: none can pose as another or end the turn."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from laconic.planners.batch.shown import as_data, entry
from laconic.planners.batch.task import Task

BREAKS = ["\n", "\r", "\r\n", "\v", "\f", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"]
SEPARATORS = ["<|im_start|>", "<|im_end|>", "<|eot_id|>", "<s>", "</s>", "[INST]", "[/INST]", "<<SYS>>", "<</SYS>>",
              "<start_of_turn>", "<end_of_turn>", "<eos>", "<｜User｜>", "<|", "|>", "<think>"]  # fmt: skip
PIECES = ["Input 7: ", "Input 1: no", "7: yes", "word", " ", "<", "|", ">", "[", *BREAKS, *SEPARATORS]
TEXTS = st.text(max_size=40) | st.lists(st.sampled_from(PIECES), max_size=12).map("".join)


@settings(deadline=None)
@given(st.lists(TEXTS, min_size=2, max_size=8))
def test_a_prompt_has_as_many_entries_as_items(texts: list[str]) -> None:
    content = Task("Is it so?", {"yes": "", "no": ""}).turns(texts)[-1]["content"]
    heads = [line for line in content.splitlines() if re.match(r"Input \d+:", line)]
    assert [head.split(":")[0] for head in heads] == [f"Input {number}" for number in range(1, len(texts) + 1)]
    assert not [line for line in content.splitlines() if re.match(r"\d+\s*:", line)]


@settings(deadline=None)
@given(TEXTS)
def test_no_separator_of_a_chat_is_left_and_no_word_is_lost(text: str) -> None:
    shown = as_data(text)
    assert not [mark for mark in SEPARATORS if mark in shown]
    assert "".join(shown.split()) == "".join(text.split())
    assert as_data(shown) == shown


@pytest.mark.parametrize("separator", SEPARATORS)
def test_separators_are_broken_in_batches_and_single_prompts_and_examples(separator: str) -> None:
    task = Task("Is it so?", examples=((f"a {separator} b", "yes"),))
    for texts in ([f"c {separator} d"], [f"c {separator} d", "e"]):
        assert not [turn for turn in task.turns(texts) if separator in turn["content"]]


def test_ordinary_text_stays_as_it_is() -> None:
    text = "if (a < b || c > d) x[1] = '<b>bold</b>' -> [insert]"
    assert as_data(text) == text


def test_an_empty_item_is_an_entry() -> None:
    assert entry(3, "") == "Input 3: "
    assert entry(3, "\n") == "Input 3: "
