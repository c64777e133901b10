"""Whatever agents do, a team ends, says why, and its tokens are in the ledger."""

from __future__ import annotations

from typing import ClassVar

import pytest

from laconic.agents import Agent, Central, Chain, Concise, Debate, Hybrid1, Hybrid2, Pair, Round, Star
from laconic.agents.protocol import Content
from laconic.backends import Request
from laconic.errors import BadRequest, MessageError

AGENTS = [Agent(name=name) for name in ("ann", "ben", "cid")]
KINDS = [Pair, Debate, Central, Round, Hybrid1, Hybrid2, Star, Chain]


class Unreadable(Concise):
    kind: ClassVar[str] = "unreadable"

    def parse(self, text: str) -> Content:
        raise MessageError("not a word of it")


class Broken(Concise):
    kind: ClassVar[str] = "broken"

    def parse(self, text: str) -> Content:
        raise ValueError("its author did not think of this")


def team(kind, **more):
    return kind(agents=AGENTS, task="What?", **more)


def booked(result, script) -> bool:
    """Whether every call that was made is in the ledger, under an agent."""
    return len(result.ledger.calls) == len(script.asked) and set(result.ledger.by("agent")) <= {"ann", "ben", "cid"}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("said", ["", "Hm.", "Call: x[y]", "Answer:", "ann: I know it.", "A", "B"])
def test_agents_that_only_ever_say_one_thing_come_to_an_end(converse, kind, said):
    result, script = converse(team(kind, max_turns=40), lambda *_: said)
    assert result.status == "failed"
    assert "nobody gave an answer in" in str(result.error)
    assert booked(result, script)
    assert len(script.asked) <= 20


@pytest.mark.parametrize("kind", KINDS)
def test_agents_that_always_give_an_answer_of_their_own_come_to_an_end(converse, kind):
    numbers = iter(range(1000))
    result, script = converse(
        team(kind), lambda _, request: "B" if request.max_tokens == 1 else f"Answer: {next(numbers)}"
    )
    assert result.status == "ok"
    assert result.values["team"].turns <= 12
    assert booked(result, script)


@pytest.mark.parametrize("kind", KINDS)
def test_what_nobody_can_read_ends_with_the_reason(converse, kind):
    numbers = iter(range(1000))
    result, script = converse(team(kind, protocol=Unreadable()), lambda *_: f"x{next(numbers)}")
    assert result.status == "failed"
    reasons = ("no message followed the protocol", "the one who decides gave none when asked again")
    assert any(reason in str(result.error) for reason in reasons)
    assert booked(result, script)


def test_a_broken_protocol_says_what_it_raised(converse):
    result, _ = converse(team(Star, protocol=Broken()), lambda *_: "x")
    assert "ValueError: its author did not think of this" in str(result.error)


def test_all_that_fall_silent_after_an_answer_leave_it(converse):
    lines = {"ann": ["Answer: eat", "", ""], "ben": ["Hm.", "", ""], "cid": ["Well.", "", ""]}
    result, _ = converse(team(Pair), lines)
    assert (result.values["team"].ended, result.outputs["answer"]) == ("silent", "eat")


def test_agreeing_in_words_said_before_is_agreeing(converse):
    two = Pair(agents=AGENTS[:2], task="What?")
    result, _ = converse(two, {"ann": ["Answer: eat", "Answer: eat"], "ben": ["Answer: sleep", "Answer: eat"]})
    assert (result.values["team"].ended, result.outputs["answer"]) == ("agreed", "eat")


def test_the_answer_of_the_majority_is_left_at_the_limit(converse):
    lines = {"ann": ["Answer: eat"], "ben": ["Answer: Eat"], "cid": ["Answer: sleep"]}
    result, _ = converse(team(Pair, max_turns=3), lines)
    assert (result.values["team"].ended, result.outputs["answer"]) == ("turns", "Eat")


def test_a_model_that_dies_leaves_the_answer_so_far(converse):
    result, script = converse(
        team(Debate),
        {"ann": ["Answer: a"], "ben": ["A"], "cid": ["A"]},
        failures=[None, BadRequest("The model is gone.")],
    )
    assert (result.status, result.outputs["answer"], result.values["team"].ended) == ("ok", "a", "failed")
    assert "The model is gone." in result.explain()
    assert [call.status for call in result.ledger.calls].count("failed") == 1
    assert booked(result, script)


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_that_is_dead_from_the_start_fails_the_node(converse, kind):
    result, script = converse(team(kind), lambda *_: "Hm.", failures=[BadRequest("The model is gone.")] * 9)
    assert result.status == "failed"
    assert "The model is gone." in str(result.error)
    assert booked(result, script)


def test_those_who_spoke_beside_one_that_died_are_heard(converse):
    lines = {"ann": ["Answer: a"], "ben": ["Answer: ben's"], "cid": []}
    died = [None, BadRequest("The model is gone.")]
    result, _ = converse(team(Star), {**lines, "cid": ["Answer: cid's"]}, failures=died)
    (message,) = result.values["team"].messages
    assert (message.text, message.number) == (f"Answer: {message.sender}'s", 1)
    assert (result.outputs["answer"], result.values["team"].ended) == (message.answer, "failed")


def test_a_wall_leaves_the_answer_so_far_and_says_so(converse):
    lines = {"ann": ["Answer: a"], "ben": ["A"], "cid": ["A"]}
    result, script = converse(team(Hybrid2), lines, budget={"calls": 2})
    assert (result.status, result.outputs["answer"], result.values["team"].ended) == ("budget", "a", "budget")
    assert len(result.ledger.calls) == 2
    assert booked(result, script)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tokens", [40, 300, 700, 1200])
def test_no_team_breaks_through_a_wall(converse, kind, tokens):
    def say(name: str, request: Request) -> str:
        return "B" if request.max_tokens == 1 else f"Answer: {len(request.messages)} {name}"

    result, script = converse(team(kind), say, budget={"tokens": tokens})
    assert result.status in ("ok", "budget")
    assert result.ledger.total().total <= tokens
    assert booked(result, script)
    if result.status == "ok":
        assert result.outputs["answer"]
