from __future__ import annotations

import pytest
from pydantic import ValidationError

from laconic import Budget, Flow, Runtime
from laconic.agents import Agent, Boxes, Hybrid2, Lifting, Pair, Team
from laconic.agents.ending import Ended
from laconic.agents.play import WorldMatter
from laconic.agents.worlds.scripted import robots
from laconic.backends import ScriptedBackend
from laconic.errors import BadRequest
from laconic.orchestrator import kind

MODELS = {"large": {"backend": "scripted", "model": "scripted"}}


@kind("first-decides")
class FirstDecides(Team):
    """The first agent says the plan of each step."""

    async def converse(self, talk):
        message = await talk.say(talk.names[0], act="propose")
        if message.answer is None:
            raise Ended("silent")
        return message.answer, "decided"


WORLD = Boxes(agents=2, seed=3)
TEAM = FirstDecides(world=WORLD, max_turns=200)


def played(team, answer=robots, **more):
    backend = ScriptedBackend(answer, context=30_000, **more)
    flow = Flow(name="world", models=MODELS, nodes={"team": team}, outputs={"answer": "{{ team }}"})
    return flow.run_sync(runtime=Runtime(backends={"large": backend})), backend


@pytest.mark.parametrize("kind", ["boxes", "warehouse", "lifting"])
def test_scripted_robots_solve_a_world(kind):
    result, backend = played(FirstDecides(world={"kind": kind, "agents": 4, "seed": 1}, max_turns=200))
    team = result.raise_for_status().values["team"]
    assert (team.solved, team.score, team.ended) == (True, 1.0, "solved")
    assert result.outputs["answer"] == f"solved in {team.steps} steps"
    assert team.steps == team.turns == len(backend.requests) == result.ledger.total().calls
    assert [(m.sender, m.act) for m in team.messages[:2]] == [("robot1", "propose"), ("world", "step")]
    assert team.message_tokens == result.ledger.total().completion


def test_what_was_done_is_shown_in_later_steps_and_what_was_said_is_not():
    _, backend = played(TEAM.model_copy(update={"sees": "state"}))
    last = backend.requests[-1].messages
    assert not [turn for turn in last if turn.role == "assistant"]
    shown = [line for line in last[-1].content.splitlines() if line.startswith("world: step")]
    assert len(shown) == len(backend.requests) - 1
    assert "robot1 can: " in last[-1].content
    assert "robot2 can: " not in last[-1].content


def test_what_a_plan_looks_like_is_told_last():
    _, backend = played(TEAM)
    for step, request in enumerate(backend.requests, 1):
        *_, plan, ask = request.messages[-1].content.splitlines()
        assert f"plan for step {step} in one line, robot1: ACTION; robot2: ACTION" in plan
        assert plan.endswith('Once you know it, end with the line "Answer: ...".')
        assert ask == "Your message:"


def test_who_is_asked_for_one_letter_is_not_asked_for_a_plan():
    _, backend = played(Hybrid2(world=WORLD, max_turns=200))
    votes = [request for request in backend.requests if "one letter only" in request.messages[-1].content]
    assert votes
    assert not [vote for vote in votes if "ACTION" in vote.messages[-1].content]


def test_a_plan_that_breaks_a_rule_wastes_the_step_and_that_is_said():
    said = iter(["Answer: robot1: dance"])
    result, backend = played(TEAM, lambda request: next(said, None) or robots(request))
    team = result.values["team"]
    assert team.solved
    assert team.messages[1].text.startswith("step 1 was wasted, all waited, since robot1 cannot 'dance'")
    assert "world: step 1 was wasted" in backend.requests[1].messages[-1].content
    assert team.steps == played(TEAM)[0].values["team"].steps + 1


def test_it_ends_at_the_limit_of_steps():
    result, backend = played(TEAM, "Answer: robot1: wait")
    team = result.values["team"]
    assert (team.solved, team.ended, team.steps) == (False, "steps", WORLD.start().limit)
    assert len(backend.requests) == team.steps
    assert result.outputs["answer"].startswith(f"not solved in {team.steps} steps: ")


def test_it_ends_when_nobody_decides():
    said = iter(["Answer: robot1: wait", "I do not know."])
    team = played(TEAM, lambda request: next(said))[0].values["team"]
    assert (team.solved, team.ended, team.steps) == (False, "silent", 1)


def test_a_plan_that_was_proposed_counts_when_the_talk_is_cut_off():
    class CutOff(FirstDecides):
        async def converse(self, talk):
            await super().converse(talk)
            raise Ended("turns")

    assert played(CutOff(world=WORLD, max_turns=200))[0].values["team"].solved


def test_a_model_that_dies_leaves_what_was_done():
    result, _ = played(TEAM, failures=[None, *[BadRequest("gone")] * 20])
    team = result.values["team"]
    assert (result.status, team.ended, team.steps) == ("ok", "failed", 1)
    result, _ = played(TEAM, failures=[BadRequest("gone")] * 20)
    assert result.status == "failed"
    assert "no step was taken in the world" in str(result.error)


def test_a_budget_leaves_what_was_done():
    result, _ = played(TEAM.model_copy(update={"budget": Budget(calls=1)}))
    team = result.values["team"]
    assert (result.status, team.ended, team.steps) == ("budget", "budget", 1)
    assert result.ledger.total().calls == 1


def test_the_world_names_the_robots_and_a_flow_says_it_in_a_line():
    text = "\n".join(
        [
            "name: grid",
            "models: {small: {backend: scripted, model: s}}",
            "nodes:",
            "  team: {kind: first-decides, world: {kind: lifting, agents: 3, seed: 5}, model: small}",
        ]
    )
    flow = Flow.parse(text)
    team = flow.nodes["team"]
    assert [(agent.name, agent.model) for agent in team.agents] == [(f"robot{n}", "small") for n in (1, 2, 3)]
    assert team.world == Lifting(agents=3, seed=5)
    assert Flow.parse(flow.dump()) == flow


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({}, "a team needs a `task`"),
        ({"task": "Who?"}, "at least 2 agents"),
        ({"task": "Who?", "model": "small"}, "`model` is for the robots"),
        ({"world": "chess"}, "there is no world 'chess'"),
        ({"world": WORLD, "agents": [Agent(name="robot1"), Agent(name="bob")]}, "there is robot2, but no agent"),
        ({"world": WORLD, "agents": [Agent(name=n) for n in ("robot1", "robot2", "world")]}, "called 'world'"),
    ],
)
def test_what_cannot_be_played_is_said(fields, why):
    with pytest.raises(ValidationError, match=why):
        Pair(**fields)


def test_only_robots_that_act_are_involved():
    matter = WorldMatter(WORLD.start(), "Be quick.")
    assert matter.brief.startswith("Be quick.\n")
    assert matter.involved("robot2: move red west; robot1: wait", ["boss", "robot1", "robot2"]) == ("robot2",)
    assert matter.view("boss") == ""
    assert matter.complaint("robot1: dance")
