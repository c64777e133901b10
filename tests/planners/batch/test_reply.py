"""Replies: whatever a model writes, an item gets the answer beside its number, or none."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from laconic.planners.batch.reply import label_of, read_json, read_lines, read_single

YES_NO = ["yes", "no"]
SPAM = ["spam", "not spam", "not", "positive", "very positive"]

PIECES = st.sampled_from(
    ["1", "2", "3:", ": ", "yes", "no", "maybe", "\n", "\u2028", "\x85", "Input ", '{"', '": "', '", "', '"}', "}", " ",
     ",", "sure", "**", "- "]
)  # fmt: skip
REPLIES = st.text(max_size=80) | st.lists(PIECES, max_size=40).map("".join)


@settings(deadline=None)
@given(REPLIES, st.sampled_from([YES_NO, SPAM, None]))
def test_whatever_is_written_a_number_has_one_answer_which_is_a_label_where_it_says(
    text: str, labels: list[str] | None
) -> None:
    for number, said in read_lines(text, labels).items():
        assert number >= 0
        assert said.label
        assert labels is None or said.label in labels
        if said.start >= 0:
            assert text[said.start : said.end].casefold() == said.label.casefold()
    for said in read_json(text, labels).values():
        assert said.label
        assert labels is None or said.label in labels
    single = read_single(text, labels)
    assert single is None or labels is None or single.label in labels


ANSWERS = st.dictionaries(st.integers(1, 40), st.sampled_from(SPAM), max_size=20)


@settings(deadline=None)
@given(ANSWERS, st.randoms(use_true_random=False))
def test_what_is_written_in_the_form_asked_for_is_read_back_in_any_order(
    answers: dict[int, str], random: object
) -> None:
    pairs = list(answers.items())
    random.shuffle(pairs)  # type: ignore[attr-defined]  # hypothesis gives a random.Random
    lines = read_lines("\n".join(f"{number}: {label}" for number, label in pairs), SPAM)
    assert {number: said.label for number, said in lines.items()} == answers
    written = json.dumps({str(number): label for number, label in pairs})
    assert {number: said.label for number, said in read_json(written, SPAM).items()} == answers


@settings(deadline=None)
@given(ANSWERS, st.integers(1, 40), st.sampled_from([*SPAM, "perhaps"]))
def test_a_number_that_occurs_twice_has_no_answer_and_the_others_keep_theirs(
    answers: dict[int, str], number: int, again: str
) -> None:
    answers = answers | {number: "spam"}
    lines = [*(f"{n}: {label}" for n, label in answers.items()), f"{number}: {again}"]
    rest = {n: label for n, label in answers.items() if n != number}
    assert {n: said.label for n, said in read_lines("\n".join(lines), SPAM).items()} == rest
    members = ", ".join([*(f'"{n}": "{label}"' for n, label in answers.items()), f'"{number}": "{again}"'])
    assert {n: said.label for n, said in read_json(f"{{{members}}}", SPAM).items()} == rest


@pytest.mark.parametrize(
    "line",
    ["7: yes", "7) yes", "(7) yes", "[7] yes", "7. yes", "7.) Yes.", "7 - yes", "7 = yes", "**7:** yes", "**7**: yes",
     "- 7: yes", "Input 7: yes", "Answer 7: **yes**", "#7: 'yes'", "7:yes", "  7: yes  ", "7: yes, because it is so",
     "7: yes (it is not)", "7: Yes - it says so"],
)  # fmt: skip
def test_forms_in_which_models_answer(line: str) -> None:
    found = read_lines(f"Here are the answers:\n{line}\nI hope this helps.", YES_NO)
    assert {number: said.label for number, said in found.items()} == {7: "yes"}


@pytest.mark.parametrize(
    "line", ["7 yes", "7: maybe", "7: yes or no", "7: yes, no", "7: yes, yes, no", "7: yes (no)", "7: yesterday", "7:",
             "7.5 yes", "seven: yes", "| 7 | yes |", "The answer to 7: yes"],
)  # fmt: skip
def test_what_is_no_answer(line: str) -> None:
    assert read_lines(line, YES_NO) == {}


@pytest.mark.parametrize(("line", "label"), [("7:-1", "-1"), ("7: -1", "-1"), ("7. -1", "-1"), ("7: 1", "1")])
def test_a_sign_belongs_to_the_answer(line: str, label: str) -> None:
    assert read_lines(line, ["-1", "0", "1"])[7].label == label


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("spam", "spam"),
        ("Not spam.", "not spam"),
        ("not spam (an advert)", "not spam"),
        ("not, I think", "not"),
        ("very positive", "very positive"),
        ("positive, very", "positive"),
        ("very", None),
        ("notspam", None),
        ("not spammy", None),
        ("spam, not spam", None),
        ("spam, spam, not spam", None),
        ("not spam; spam has links", "not spam"),
        ("spam (not spam)", None),
        ("", None),
    ],
)
def test_labels_that_overlap(text: str, label: str | None) -> None:
    assert label_of(text, SPAM) == label


def test_a_label_with_marks_of_its_own() -> None:
    assert label_of("U.S.", ["U.S.", "U.K."]) == "U.S."
    assert label_of("yes", ["Yes.", "No."]) == "Yes."


@pytest.mark.parametrize(
    ("said", "label", "sure"),
    [
        ("yes", "yes", None),
        ("yes, sure", "yes", True),
        ("yes, unsure", "yes", False),
        ("yes (not sure)", "yes", False),
        ("no; not confident.", "no", False),
        ("no - confident", "no", True),
    ],
)
def test_how_sure_the_model_says_it_is(said: str, label: str, sure: bool | None) -> None:
    found = read_lines(f"3: {said}", YES_NO, doubts=True)[3]
    assert (found.label, found.sure) == (label, sure)


@pytest.mark.parametrize("said", ["I'm not sure", "make sure", "self-confident", "Sarah is confident"])
def test_words_of_doubt_are_words_where_nobody_asked_for_doubts(said: str) -> None:
    assert read_lines(f"3: {said}", None)[3].label == said
    single = read_single(said, None)
    assert single is not None
    assert (single.label, single.sure) == (said, None)


@pytest.mark.parametrize(
    "text", ["yes", "Answer: yes", "1: yes", "Input 1: yes.", "```\nyes\n```", "\n The answer: yes (clear)"]
)
def test_a_single_answer_is_found_behind_what_announces_it(text: str) -> None:
    said = read_single(text, YES_NO)
    assert said is not None
    assert said.label == "yes"
    assert text[said.start : said.end] == "yes"


def test_labels_may_be_words_of_doubt() -> None:
    assert read_lines("3: sure", ["sure", "unsure"])[3].label == "sure"


@pytest.mark.parametrize(
    ("text", "answers"),
    [
        ('```json\n{"1": "yes", "2": "no"}\n```', {1: "yes", 2: "no"}),
        ('{"1": {"label": "yes", "sure": false}, "2": {"label": "no"}}', {1: "yes", 2: "no"}),
        ('{"1": "yes", "01": "no", "2": "no"}', {2: "no"}),
        ('{"1": "yes", "1": "yes"}', {}),
        ('{"1": {"label": "yes", "label": "no"}, "2": "no"}', {2: "no"}),
        ('{"1": "yes", "2": "no"', {}),
        ('{"1": "yes", "2": {"label": "no"}, "3": {"la', {}),
        ('{"1": "yes"} {"1": "no"}', {}),
        ('{"1": ["yes"], "2": null, "3": "perhaps", "x": "yes", "-4": "no"}', {}),
        ('[{"1": "yes"}]', {1: "yes"}),
        ("yes", {}),
        ("}{", {}),
        ("{" * 5000, {}),
        ('{"1":' * 5000 + "1" + "}" * 5000, {}),
    ],
)
def test_json_in_any_state(text: str, answers: dict[int, str]) -> None:
    assert {number: said.label for number, said in read_json(text, YES_NO).items()} == answers


def test_json_says_how_sure() -> None:
    found = read_json('{"1": {"label": "yes", "sure": false}, "2": {"label": "no", "sure": "very"}}', YES_NO)
    assert (found[1].sure, found[2].sure) == (False, None)


def test_numbers_are_answers_too() -> None:
    assert read_json('{"1": 3, "2": -1}', ["3", "-1"])[2].label == "-1"
    assert read_lines("1: 42\n2: Paris", None)[1].label == "42"


def test_a_single_prompt_is_answered_by_its_first_line_with_words() -> None:
    found = read_single("\n\n  Yes.\nNo.", YES_NO)
    assert found is not None
    assert (found.label, found.start) == ("yes", 4)
    assert read_single("I cannot say.\nyes", YES_NO) is None
    assert read_single(" \n ", None) is None


@pytest.mark.parametrize("text", ["1: " + "yes, " * 20_000, "7" + " " * 50_000 + "x", "1: a" + " " * 50_000 + "b",
                                  " ( " * 20_000, "1: yes" + " sure" * 10_000])  # fmt: skip
def test_endless_babble_is_read_in_no_time(text: str) -> None:
    begun = time.process_time()
    read_lines(text, YES_NO)
    read_single(text, YES_NO)
    assert time.process_time() - begun < 2
