"""The ReAct turn grammar."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laconic.planners.trace import Action, Finish, Malformed, parse_turn

TOOLS = ("search", "calculator")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Thought: need it\nAction: search[x]", Action("need it", "search", "x")),
        ("**Thought:** need it\n**Action:** Search[x]", Action("need it", "search", "x")),
        ("Thought 2: need it\nAction 2: search[x]", Action("need it", "search", "x")),
        ("Action: search\nAction Input: x", Action("", "search", "x")),
        ('Action: search\nAction Input: "x"\nObservation: made up', Action("", "search", "x")),
        ("Action: search[x [1] y]", Action("", "search", "x [1] y")),
        ("Action:\nsearch[x]", Action("", "search", "x")),
        ("Action: oracle[x]", Action("", "oracle", "x")),
        ("Thought: bare\nsearch[x]", Action("bare", "search", "x")),
        ("Thought: it is known\nAnswer: Paris.", Finish("it is known", "Paris")),
        ("Thought: it is known. Answer: Paris", Finish("it is known.", "Paris")),
        ("**Final Answer:** *Paris*", Finish("", "Paris")),
        ("Answer:\nParis", Finish("", "Paris")),
        ("Action: Finish[Paris]", Finish("", "Paris")),
        ("Action: answer[Paris.]", Finish("", "Paris")),
    ],
)
def test_turns_as_models_write_them(text: str, expected: Action | Finish) -> None:
    assert parse_turn(text, TOOLS) == expected


def test_the_first_of_several_counts() -> None:
    assert parse_turn("Action: search[a]\nAction: search[b]\nAnswer: c", TOOLS) == Action("", "search", "a")
    assert parse_turn("Answer: c\nAction: search[a]", TOOLS) == Finish("", "c")


def test_an_observation_made_up_by_the_model_is_cut_off() -> None:
    text = "Thought: t\nAction: search[a]\nObservation: It is Rome.\nAnswer: Rome"
    assert parse_turn(text, TOOLS) == Action("t", "search", "a")
    assert isinstance(parse_turn("Thought: t\nObservation: It is Rome.\nAnswer: Rome", TOOLS), Malformed)


def test_a_tool_named_like_the_end_is_a_tool() -> None:
    assert parse_turn("Action: answer[x]", ("answer",)) == Action("", "answer", "x")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "neither"),
        ("I think so", "neither"),
        ("Answer:", "empty"),
        ("Action: Answer\nAction Input:", "empty"),
        ("Action: ???", "not a tool call"),
    ],
)
def test_malformed_turns_say_what_to_write(text: str, says: str) -> None:
    turn = parse_turn(text, TOOLS)
    assert isinstance(turn, Malformed)
    assert says in turn.reason


pieces = st.sampled_from(
    ["Thought:", "Action:", "Answer:", "Observation:", "search", "[", "]", "\n", "x", "Action Input:", ".", "*"]
)


@given(st.text() | st.lists(pieces, max_size=30).map("".join))
def test_any_text_is_a_turn(text: str) -> None:
    turn = parse_turn(text, TOOLS)
    if isinstance(turn, Finish):
        assert turn.answer.strip()
    if isinstance(turn, Action):
        assert turn.tool
