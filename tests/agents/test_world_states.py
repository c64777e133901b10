"""What all worlds keep: seeded, solvable, told and read back, and a plan that stands or is complained about."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from laconic.agents.worlds.plan import read_plan, write_plan
from laconic.agents.worlds.scripted import robots
from laconic.agents.worlds.world import WORLDS, read_state
from laconic.backends import Message, Request

KINDS = ["boxes", "lifting", "warehouse"]
NAMES = ("robot1", "robot2", "robot3")


def start(kind, agents, seed):
    return WORLDS.find(kind)(agents=agents, seed=seed).start()


@pytest.mark.parametrize("agents", [2, 4, 8])
@pytest.mark.parametrize("kind", KINDS)
def test_the_policy_solves_every_instance_within_its_limit(kind, agents):
    for seed in range(30):
        state = start(kind, agents, seed)
        before = state.score
        assert len(state.names) == agents
        while not state.solved:
            plan = state.policy()
            assert state.complaint(plan) == ""
            assert "\n" not in plan
            state, outcome = state.after(plan)
            assert "\n" not in outcome
            assert before <= state.score <= 1
            before = state.score
        assert state.step - 1 <= state.limit


@given(st.sampled_from(KINDS), st.integers(2, 9), st.integers(0, 500), st.integers(0, 12))
def test_a_brief_is_read_back_and_leads_to_the_same_plan(kind, agents, seed, steps):
    state = start(kind, agents, seed)
    for _ in range(steps):
        state, _ = state.after(state.policy())
    brief = state.brief().replace("\n", "\n  ")  # as prompts hold it
    told = read_state(f"Some task.\n{brief}\nrobot1 can: wait.\nrobot2: Boxes: none.\nYour message:")
    assert told == state
    assert told.brief() == state.brief()
    assert told.policy() == state.policy()


@given(st.sampled_from(KINDS), st.integers(2, 6), st.integers(0, 100), st.randoms(use_true_random=False))
def test_whatever_a_view_offers_can_be_done(kind, agents, seed, lot: random.Random):
    state = start(kind, agents, seed)
    for _ in range(4):
        name = lot.choice(state.names)
        action = lot.choice([*state.options(name), "wait"])
        assert action in state.view(name)
        assert state.complaint(f"{name}: {action}") == "" or state.clashes({name: action})
        state, _ = state.after(f"{name}: {action}")


@given(st.sampled_from(KINDS), st.integers(2, 5), st.text())
def test_no_text_breaks_a_world(kind, agents, text):
    state = start(kind, agents, 1)
    after, outcome = state.after(text)
    assert after.step == 2
    assert ("wasted" in outcome) == bool(state.complaint(text))


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_makes_the_same_world_and_another_seed_another(kind):
    assert start(kind, 4, 3) == start(kind, 4, 3)
    assert len({start(kind, 4, seed).brief() for seed in range(10)}) == 10


@pytest.mark.parametrize("kind", KINDS)
def test_a_wasted_step_changes_nothing_but_the_step(kind):
    state = start(kind, 2, 0)
    after, outcome = state.after("robot1: fly")
    assert (after.step, after.lines()) == (2, state.lines())
    assert outcome.startswith("step 1 was wasted, all waited, since robot1 cannot 'fly' (it can: ")


@given(st.dictionaries(st.sampled_from(NAMES), st.sampled_from(["pick", "move red east", "wait"])))
def test_a_plan_is_read_back_as_it_was_written(actions):
    plan = read_plan(write_plan(actions, NAMES), NAMES)
    assert plan.unread == ()
    assert plan.actions == {name: action for name, action in actions.items() if action != "wait"}


@pytest.mark.parametrize(
    "text",
    [
        "robot1: move red east; robot3: pick",
        "Robot 1 :  MOVE  Red east ,ROBOT3:pick.",
        "**robot3**: `pick`;\nrobot1: move red east;",
    ],
)
def test_case_spaces_and_marks_do_not_matter(text):
    assert read_plan(text, NAMES).actions == {"robot1": "move red east", "robot3": "pick"}


def test_every_part_that_cannot_be_read_is_said():
    plan = read_plan("robot1: pick; robot9: pick; go east; robot1: wait", NAMES)
    assert plan.actions == {"robot1": "pick"}
    assert plan.unread == (
        "there is no robot 'robot9'",
        "'go east' is no part of a plan, which is written NAME: ACTION; NAME: ACTION",
        "robot1 is told to do two things",
    )
    assert read_plan("", NAMES).unread == ("the plan is empty: it is written NAME: ACTION; NAME: ACTION",)


def test_a_team_of_robots_has_a_size():
    with pytest.raises(ValidationError, match="greater than or equal to 2"):
        WORLDS.find("boxes")(agents=1)


def test_scripted_robots_plan_from_the_prompt_alone_and_agree_in_one_token():
    state, _ = start("lifting", 4, 2).after("robot1: lift box1")
    prompt = (Message("system", "Known.\n\nYou are robot2. You work with robot1."), Message("user", state.brief()))
    assert robots(Request(model="m", messages=prompt)) == f"Answer: {state.policy()}"
    assert robots(Request(model="m", messages=prompt, max_tokens=1)) == "A"
    with pytest.raises(ValueError, match="no state of a world"):
        robots(Request(model="m", messages=(prompt[0], Message("user", "Who?"))))
