from __future__ import annotations

from collections.abc import Sequence

from laconic.agents import Agent, Hybrid2
from laconic.agents.matter import Matter

AGENTS = [Agent(name=name) for name in ("ann", "ben", "cid", "dan")]


class Named(Matter):
    """Whoever a plan names has a part in it; nobody can fly."""

    def involved(self, decision: str, names: Sequence[str]) -> tuple[str, ...]:
        return tuple(name for name in ("zoe", *names) if name in decision)

    def complaint(self, decision: str) -> str:
        return "Nobody can fly." if "fly" in decision else ""


class InAWorld(Hybrid2):
    async def converse(self, talk):
        talk.matter = Named(talk.matter.brief)
        return await super().converse(talk)


TEAM = InAWorld(agents=AGENTS, task="What to do?")


def test_only_those_with_a_part_in_the_proposal_are_asked(converse):
    result, script = converse(TEAM, {"ann": ["Answer: ben: lift; dan: lift"], "ben": ["A"], "dan": ["A"]})
    assert sorted(script.asked) == ["ann", "ben", "dan"]
    assert (result.values["team"].ended, result.outputs["answer"]) == ("agreed", "ben: lift; dan: lift")


def test_one_objection_brings_one_revision_with_all_feedback(converse):
    lines = {
        "ann": ["Answer: ben: lift; dan: lift", "Answer: ben: wait; dan: lift"],
        "ben": ["B", "My arm is broken."],
        "dan": ["A"],
    }
    result, script = converse(TEAM, lines)
    assert result.outputs["answer"] == "ben: wait; dan: lift"
    assert [(m.sender, m.act, m.to) for m in result.values["team"].messages] == [
        ("ann", "propose", ("ben", "cid", "dan")),
        ("ben", "object", ("ann",)),
        ("dan", "agree", ("ann",)),
        ("ann", "revise", ("ben", "cid", "dan")),
    ]
    last = script.shown_to("ann")[-1]
    assert "ben: My arm is broken." in last
    assert "dan: I agree." in last
    assert "My arm" not in "".join(script.shown_to("dan"))


def test_the_revision_is_not_discussed_again(converse):
    lines = {"ann": ["Answer: ben: lift", "Answer: ben: push"], "ben": ["B", "No."]}
    result, _ = converse(TEAM, lines)
    assert (result.outputs["answer"], result.values["team"].ended) == ("ben: push", "decided")


def test_a_proposal_that_concerns_nobody_else_is_not_asked_about(converse):
    result, script = converse(TEAM, {"ann": ["Answer: ann: lift; zoe: lift"]})
    assert (script.asked, result.values["team"].ended) == (["ann"], "decided")


def test_feedback_is_asked_only_on_what_can_stand(converse):
    lines = {"ann": ["Answer: ben: fly", "Answer: ben: lift"], "ben": ["A"]}
    result, script = converse(TEAM, lines)
    assert script.asked == ["ann", "ann", "ben"]
    assert "fly" not in script.shown_to("ben")[0]
    result, script = converse(TEAM, {"ann": [f"Answer: ben: fly {number}" for number in range(3)]})
    assert (script.asked, result.values["team"].ended) == (["ann"] * 3, "unfit")


def test_without_a_revision_the_proposal_stands(converse):
    result, _ = converse(TEAM, {"ann": ["Answer: ben: lift", "Hm.", "Ho.", "Hu."], "ben": ["B", "No."]})
    assert (result.outputs["answer"], result.values["team"].ended) == ("ben: lift", "undecided")
