from __future__ import annotations

import pytest
from pydantic import ValidationError

from laconic import Flow
from laconic.agents.deciding import Deciding
from laconic.agents.team import Team
from laconic.errors import FlowError

NAMES = ["pair", "debate", "central", "round", "hybrid1", "hybrid2", "star", "chain"]


def flow(kind: str, agents: list[str]) -> Flow:
    return Flow.model_validate(
        {
            "name": "talk",
            "models": {"large": {"backend": "scripted", "model": "scripted"}},
            "nodes": {"team": {"kind": kind, "agents": [{"name": name} for name in agents], "task": "What?"}},
            "outputs": {"answer": "{{ team }}"},
        }
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_flow_names_a_topology_in_a_word(name):
    team = flow(name, ["ann", "ben"]).nodes["team"]
    assert isinstance(team, Team)
    assert (team.kind, isinstance(team, Deciding)) == (name, name != "pair")


@pytest.mark.parametrize("name", NAMES)
def test_a_team_of_one_and_two_of_one_name_are_refused(name):
    with pytest.raises((ValidationError, FlowError), match="at least 2 agents"):
        flow(name, ["ann"])
    with pytest.raises((ValidationError, FlowError), match="two agents are called 'ann'"):
        flow(name, ["ann", "ben", "ann"])
