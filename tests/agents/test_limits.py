from __future__ import annotations

import pytest

from laconic.agents import Agent, Debate, Pair, Star

AGENTS = [Agent(name=name) for name in ("ann", "ben", "cid", "dan")]
LONG = "one two three four five six seven eight nine ten " * 40


def team(kind, **more):
    return kind(agents=AGENTS, task="What?", **more)


@pytest.mark.parametrize(("kind", "most"), [(Pair, 1), (Pair, 3), (Star, 3), (Star, 2), (Debate, 4)])
def test_there_are_never_more_messages_than_turns(converse, kind, most):
    numbers = iter(range(99))
    result, _ = converse(
        team(kind, max_turns=most), lambda _, request: "B" if request.max_tokens == 1 else f"Answer: {next(numbers)}"
    )
    said = sum(record.path.startswith("team/") for record in result.nodes)
    assert said <= most
    assert "max_turns" in str(result.error) or result.values["team"].ended == "turns"


@pytest.mark.parametrize("kind", [Pair, Star])
@pytest.mark.parametrize("most", [2, 7, 50])
def test_all_messages_together_keep_to_their_tokens(converse, kind, most):
    numbers = iter(range(99))
    result, _ = converse(team(kind, message_tokens=most), lambda *_: f"Answer: {next(numbers)} {LONG}")
    assert result.ledger.total().completion <= most
    assert "message_tokens" in str(result.error) or result.values["team"].ended == "tokens"


def test_one_message_keeps_to_its_tokens(converse):
    result, script = converse(team(Pair, max_tokens=12, max_turns=3), lambda name, _: f"Answer: {name} {LONG}")
    assert {request.max_tokens for request in script.backend.requests} == {12}
    assert [message.tokens for message in result.values["team"].messages] == [12, 12, 12]


def test_an_objection_and_its_letter_are_one_message(converse):
    lines = {"ann": ["Answer: a", "Answer: a"], **{name: ["B", LONG] for name in ("ben", "cid", "dan")}}
    result, _ = converse(team(Debate, max_tokens=6), lines)
    assert [message.tokens for message in result.values["team"].messages[1:4]] == [6, 6, 6]


def test_a_message_of_one_token_can_still_object(converse):
    two = Debate(agents=AGENTS[:2], task="What?", message_tokens=8)
    result, script = converse(two, {"ann": ["Answer: eat"], "ben": ["B"]})
    assert [message.text for message in result.values["team"].messages] == ["Answer: eat", "I object."]
    assert (result.values["team"].ended, result.values["team"].message_tokens) == ("tokens", 8)
    assert script.asked == ["ann", "ben"]
