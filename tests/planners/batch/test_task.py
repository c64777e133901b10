"""Prompts and the votes read from replies."""

from __future__ import annotations

import json
import math

import pytest

from laconic.backends.request import Completion, FinishReason, TokenLogprob
from laconic.backends.usage import Usage
from laconic.planners.batch.task import Task, likelihood
from laconic.planners.batch.votes import Vote

LABELS = {"yes": "it is", "no": ""}


def said(text: str, finish: FinishReason = "stop", tokens: list[tuple[str, float]] | None = None) -> Completion:
    logprobs = None if tokens is None else tuple(TokenLogprob(token, math.log(chance)) for token, chance in tokens)
    return Completion(text=text, usage=Usage(1, 1), finish_reason=finish, logprobs=logprobs)


def labels(votes: list[Vote | None]) -> list[str | None]:
    return [vote and vote.label for vote in votes]


def test_all_but_the_items_is_the_same_in_every_prompt() -> None:
    task = Task("Is it so?", LABELS, examples=(("one", "yes"), ("two", "no")))
    first, second = task.turns(["a", "b"]), task.turns(["c", "d", "e"])
    assert first[:-1] == second[:-1]
    assert first[-1]["content"] == "Input 1: a\nInput 2: b"


def test_examples_are_shown_in_the_form_that_is_asked_for() -> None:
    examples = (("one", "yes"), ("two", "no"))
    lines = Task("Is it so?", LABELS, examples=examples)
    assert [turn["content"] for turn in lines.turns(["a", "b"])[1:3]] == ["Input 1: one\nInput 2: two", "1: yes\n2: no"]
    assert [turn["content"] for turn in lines.turns(["a"])[1:]] == ["one", "yes", "two", "no", "a"]
    written = Task("Is it so?", LABELS, "json", examples, asks_confidence=True).turns(["a", "b"])[2]["content"]
    assert json.loads(written)["2"] == {"label": "no", "sure": True}


@pytest.mark.parametrize("confidence", [False, True])
def test_the_schema_asks_for_exactly_the_numbers_shown(confidence: bool) -> None:
    schema = Task("Is it so?", LABELS, "json", asks_confidence=confidence).asked(3)["schema"]
    assert schema["required"] == list(schema["properties"]) == ["1", "2", "3"]
    member = schema["properties"]["1"]
    assert (member["properties"]["label"] if confidence else member) == {"enum": ["yes", "no"]}
    assert Task("Is it so?", LABELS, "json").asked(1)["schema"] is None


def test_numbers_nobody_asked_for_are_passed_over() -> None:
    task = Task("Is it so?", LABELS)
    assert labels(task.read(said("2: no\n3: yes\n0: yes"), 2)) == [None, "no"]


def test_an_answer_at_which_the_reply_was_cut_may_be_half_of_another() -> None:
    spam = Task("What is it?", {"not": "", "not spam": "", "spam": ""})
    assert labels(spam.read(said("1: spam\n2: not", "length"), 2)) == ["spam", None]
    assert labels(spam.read(said("1: spam\n2: not\n", "length"), 2)) == ["spam", "not"]
    assert labels(spam.read(said("1: spam\n2: not"), 2)) == ["spam", "not"]
    free = Task("Where is it?")
    assert labels(free.read(said("1: Paris\n2: New ", "length"), 2)) == ["Paris", None]
    assert labels(free.read(said("New", "length"), 1)) == [None]
    assert labels(spam.read(said("spam, since it wants to s", "length"), 1)) == ["spam"]


def test_a_vote_weighs_less_where_the_model_is_unsure() -> None:
    task = Task("Is it so?", LABELS, weighing="confidence", asks_confidence=True, alpha=0.2)
    votes = task.read(said("1: yes, sure\n2: no, unsure\n3: yes"), 3)
    assert votes == [Vote("yes"), Vote("no", 0.2, sure=False), Vote("yes")]


def test_a_vote_weighs_the_probability_of_its_own_tokens() -> None:
    tokens = [("1", 0.1), (":", 0.1), (" yes", 0.5), ("\n", 0.1), ("2: ", 0.1), ("n", 0.9), ("o", 1.0)]
    task = Task("Is it so?", LABELS, weighing="logprob", sure=0.8)
    yes, no = task.read(said("1: yes\n2: no", tokens=tokens), 2)
    assert yes is not None
    assert no is not None
    assert (yes.weight, yes.sure) == (pytest.approx(0.5), False)
    assert (no.weight, no.sure) == (pytest.approx(0.9), True)


def test_without_logprobs_that_fit_the_text_a_vote_is_a_plain_one() -> None:
    task = Task("Is it so?", LABELS, weighing="logprob")
    assert task.read(said("1: yes\n2: no"), 2) == [Vote("yes"), Vote("no")]
    assert likelihood(said("1: yes", tokens=[("1: ", 0.5)]), 3, 6) is None


def test_no_vote_weighs_nothing() -> None:
    impossible = said("yes", tokens=[("yes", 1e-300)])
    assert likelihood(impossible, 0, 3) == 1e-6
