from __future__ import annotations

import pytest

from laconic.agents import Agent, Hybrid1, Pair, Round
from laconic.agents.matter import Matter

AGENTS = [Agent(name=name) for name in ("ann", "ben", "cid")]
TEAM = Round(agents=AGENTS, task="What to do?")
SEEDED = Hybrid1(agents=AGENTS, task="What to do?")


class OnlyLifting(Matter):
    def view(self, name: str) -> str:
        return f"{name} has two hands."

    def complaint(self, decision: str) -> str:
        return "" if decision.startswith("lift") else f"{decision} cannot be done."


class LiftingRound(Round):
    async def converse(self, talk):
        talk.matter = OnlyLifting(talk.matter.brief)
        return await super().converse(talk)


class LiftingHybrid(Hybrid1):
    async def converse(self, talk):
        talk.matter = OnlyLifting(talk.matter.brief)
        return await super().converse(talk)


def test_a_turn_without_an_answer_hands_on_and_another_carries_out_what_stands(converse):
    result, script = converse(TEAM, {"ann": ["I am tired.", "A"], "ben": ["It is noon."], "cid": ["Answer: sleep"]})
    assert script.asked == ["ann", "ben", "cid", "ann"]
    assert (result.outputs["answer"], result.values["team"].ended) == ("sleep", "decided")
    assert script.backend.requests[-1].max_tokens == 1


def test_an_objection_may_change_the_plan(converse):
    lines = {"ann": ["Answer: sleep"], "ben": ["B", "Too early.\nAnswer: eat"], "cid": ["A"]}
    result, _ = converse(TEAM, lines)
    assert result.outputs["answer"] == "eat"
    assert [(m.act, m.answer) for m in result.values["team"].messages] == [
        ("inform", "sleep"), ("object", "eat"), ("agree", None),
    ]  # fmt: skip


def test_an_objection_without_a_plan_leaves_the_old_one_standing(converse):
    result, script = converse(TEAM, {"ann": ["Answer: sleep"], "ben": ["B", "Too early."], "cid": ["A"]})
    assert (result.outputs["answer"], result.values["team"].ended) == ("sleep", "decided")
    assert "ben: Too early." in script.shown_to("cid")[0]


def test_who_objects_and_gives_the_same_plan_is_for_it(converse):
    result, _ = converse(TEAM, {"ann": ["Answer: sleep"], "ben": ["B", "Answer: Sleep!"]})
    assert (result.outputs["answer"], result.values["team"].ended) == ("sleep", "decided")


def test_after_the_rounds_the_last_plan_stands(converse):
    numbers = iter(range(100))
    team = TEAM.model_copy(update={"rounds": 2})
    result, _ = converse(team, lambda _, request: "B" if request.max_tokens == 1 else f"Answer: {next(numbers)}")
    assert (result.outputs["answer"], result.values["team"].ended) == ("5", "turns")
    assert result.values["team"].turns == 6


def test_without_a_plan_the_last_one_is_told_to_give_it(converse):
    numbers = iter(range(100))

    def say(name, request):
        if "Nobody speaks after you" in request.messages[-1].content:
            return f"Answer: {name}"
        return f"Hm, {next(numbers)}."

    result, script = converse(TEAM.model_copy(update={"rounds": 1}), say)
    assert (script.asked, result.outputs["answer"]) == (["ann", "ben", "cid", "cid"], "cid")


def test_a_plan_that_cannot_stand_is_mended_before_the_others_hear_it(converse):
    team = LiftingRound(agents=AGENTS, task="What to do?")
    result, script = converse(team, {"ann": ["Answer: push", "Answer: lift"], "ben": ["A"]})
    assert result.outputs["answer"] == "lift"
    assert "push" not in script.shown_to("ben")[0]


def test_nobody_is_asked_to_carry_out_a_plan_that_cannot_stand(converse):
    team = LiftingRound(agents=AGENTS, task="What to do?", repairs=0)
    result, script = converse(team, {"ann": ["Answer: push"], "ben": ["Answer: lift"], "cid": ["A"]})
    assert result.outputs["answer"] == "lift"
    assert "The answer of ann cannot stand: push cannot be done." in script.shown_to("ben")[0]


def test_rounds_of_plans_that_cannot_stand_end_with_the_last(converse):
    numbers = iter(range(100))
    team = LiftingRound(agents=AGENTS, task="What to do?", repairs=0, rounds=1)
    result, _ = converse(team, lambda *_: f"Answer: push {next(numbers)}")
    assert (result.outputs["answer"], result.values["team"].ended) == ("push 2", "unfit")


def test_hybrid1_is_seeded_with_the_proposal_of_the_first(converse):
    lines = {"ann": ["Answer: sleep"], "ben": ["B", "Too early."], "cid": ["A"]}
    result, script = converse(SEEDED, lines)
    assert script.asked == ["ann", "ben", "ben", "cid"]
    assert (result.outputs["answer"], result.values["team"].messages[0].act) == ("sleep", "propose")
    assert "ann: Answer: sleep" in script.shown_to("ben")[0]


def test_hybrid1_ends_with_a_token_where_the_next_agrees(converse):
    result, script = converse(SEEDED, {"ann": ["Answer: sleep"], "ben": ["A"]})
    assert (result.values["team"].turns, script.asked) == (2, ["ann", "ben"])


def test_only_the_central_agent_of_hybrid1_is_told_what_the_others_see(converse):
    _, script = converse(LiftingHybrid(agents=AGENTS, task="?"), {"ann": ["Answer: lift"], "ben": ["A"]})
    assert "cid: cid has two hands." in script.shown_to("ann")[0]
    assert "cid has two hands." not in script.shown_to("ben")[0]


@pytest.mark.parametrize("most", [2, 12])
def test_a_plan_that_can_stand_is_not_lost_to_one_that_cannot(converse, most):
    team = LiftingRound(agents=AGENTS, task="What to do?", repairs=0, max_turns=most)
    lines = {"ann": ["Answer: lift"], "ben": ["B", "Answer: push"], "cid": ["A"]}
    result, script = converse(team, lines)
    assert (result.outputs["answer"], result.values["team"].ended) == ("lift", "turns" if most == 2 else "decided")
    if most == 12:
        assert "Shall the last answer of ann be carried out" in script.shown_to("cid")[0]


class TwoSteps(Round):
    async def converse(self, talk):
        first = await super().converse(talk)
        talk.step += 1
        second = await super().converse(talk)
        return f"{first[0]}, {second[0]}", second[1]


@pytest.mark.parametrize(("turns", "ended"), [(2, "decided"), (1, "turns")])
def test_each_step_has_turns_of_its_own(converse, turns, ended):
    team = TwoSteps(agents=AGENTS[:2], task="?", max_turns=turns)
    result, _ = converse(team, {"ann": ["Answer: eat", "Answer: eat"], "ben": ["A", "A"]})
    assert result.values["team"].ended == ended
    if ended == "decided":
        assert result.outputs["answer"] == "eat, eat"
        assert [m.step for m in result.values["team"].messages] == [1, 1, 2, 2]
        assert len({record.path for record in result.nodes}) == 5


class PairOfTwoSteps(Pair):
    async def converse(self, talk):
        await super().converse(talk)
        talk.step += 1
        return await super().converse(talk)


def test_what_was_agreed_in_one_step_is_not_agreed_in_the_next(converse):
    team = PairOfTwoSteps(agents=AGENTS[:2], task="?")
    result, script = converse(team, {"ann": ["Answer: eat", "Answer: eat"], "ben": ["Answer: eat", "Answer: eat"]})
    assert script.asked == ["ann", "ben", "ann", "ben"]
    assert result.values["team"].ended == "agreed"
