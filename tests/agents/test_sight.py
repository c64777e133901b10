"""What an agent is shown before it speaks."""

from __future__ import annotations

import pytest

from laconic.agents import Agent, Message, Pair
from laconic.agents.sight import visible

TEAM = Pair(
    agents=[Agent(name="ann", context=["Alpha is red."]), Agent(name="ben", context=["Beta is blue."])], task="Which?"
)


def message(number: int, sender: str, to: tuple[str, ...] = ("ann", "ben", "cal"), act="inform", step: int = 1):
    others = tuple(name for name in to if name != sender)
    return Message(number=number, sender=sender, to=others, act=act, text=f"word {number}", step=step)


SAID = [
    message(1, "ann"),
    message(2, "ben"),
    message(3, "cal", to=("ben",)),
    message(4, "world", act="step"),
    message(5, "ben", step=2),
    message(6, "cal", step=2),
    message(7, "ann", step=2),
]


@pytest.mark.parametrize(
    ("sees", "numbers"),
    [
        ("all", [1, 2, 4, 5, 6, 7]),
        ("summary", [1, 2, 4, 5, 6, 7]),
        ("last", [6, 7]),
        ("state", [4, 5, 6, 7]),
        ("predecessors", [4, 5, 7]),
        ("everything", [1, 2, 3, 4, 5, 6, 7]),
    ],
)
def test_what_ann_is_shown(sees, numbers):
    seen = visible(SAID, "ann", sees, last=2, predecessors=["ben"], step=2)
    assert [one.number for one in seen] == numbers


def test_a_newer_unit_takes_the_place_of_the_older_in_the_prompt(converse):
    team = TEAM.model_copy(update={"sees": "predecessors"})
    lines = {"ann": ["first of ann", "second of ann", "Answer: x"], "ben": ["first of ben", "Answer: x"]}
    _, script = converse(team, lines)
    shown = script.shown_to("ann")[-1]
    assert "second of ann" in shown
    assert "Answer: x" in shown
    assert "first of ann" not in shown
    assert "first of ben" not in shown


def test_everything_is_the_group_chat_with_what_each_knows_and_begins_the_same_for_all(converse):
    _, script = converse(TEAM.model_copy(update={"sees": "everything"}), {"ann": ["Answer: x"], "ben": ["Answer: x"]})
    (ann,), (ben,) = script.shown_to("ann"), script.shown_to("ben")
    known = "What each of you knows:\n- ann: Alpha is red.\n- ben: Beta is blue.\n\nYou are "
    assert ann.startswith(known)
    assert ben.startswith(known)


def test_without_references_no_ids_are_shown(converse):
    _, script = converse(TEAM, {"ann": ["Alpha is red.", "Answer: x"], "ben": ["Answer: x"]})
    for prompt in script.shown_to("ann") + script.shown_to("ben"):
        assert "ann1" not in prompt
        assert "M1" not in prompt
        assert "[" not in prompt
