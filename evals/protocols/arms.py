"""Arm: one way in which the team of a flow could talk: a protocol, a topology, and a prompt about the format."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from ...agents import PROTOCOLS, Team
from ...errors import FlowError, InputError
from ...orchestrator import Flow
from ...orchestrator.models import ModelSpec
from ...orchestrator.node import KINDS
from ..contestant import Contestant

SAMPLING_TEMPERATURE = 0.7
"""Where several conversations are held about an item and the flow itself says no temperature: that of Optima's later
rounds."""
SEED = 17
"""Of the first conversation about an item; the others count on from it. All arms draw with the same seeds."""


@dataclass(frozen=True)
class Arm:
    """One way to talk."""

    name: str
    flow: Flow
    """As it would be written."""
    team: str
    """The node in which the agents talk."""
    contestant: Contestant
    asked: tuple[Flow, ...]
    """As it is run: a flow for each conversation about an item."""


@dataclass(frozen=True)
class Ways:
    """What the arms are made of: every protocol with every topology and every format."""

    protocols: Sequence[str | dict[str, Any]] = ()
    """As a flow says them; those of the flow if there are none."""
    topologies: Sequence[str] = ()
    """Kinds of team; that of the flow if there are none."""
    formats: Sequence[str] = ()
    """Texts that are added to the agents' instructions. Without any of them is always one way: it is the control."""

    def arms(
        self,
        flow: Flow,
        models: dict[str, ModelSpec] | None = None,
        *,
        conversations: int = 1,
        beside: Path | None = None,
    ) -> list[Arm]:
        """The arms, each able to run. `models` play their roles while choosing and are not written into the flow.

        `beside`: the folder that the chosen flow will be written to. Raises InputError and FlowError for what cannot
        work, before a token is spent.
        """
        team = team_of(flow)
        node = flow.written()["nodes"][team]
        protocols = list(self.protocols) or [node.get("protocol", "plain")]
        topologies = list(self.topologies) or [node["kind"]]
        formats = ["", *(text for text in self.formats if text.strip())]
        made = []
        names = _names(protocols, topologies, formats)
        for name, (topology, protocol, text) in zip(names, product(topologies, protocols, formats), strict=True):
            try:
                changed = _changed(flow, team, topology, protocol, text)
                Flow.parse(changed.dump(), name=f"the flow with {name}", base=beside or flow.base)
            except FlowError as error:
                raise InputError(f"the flow cannot talk in the way {name!r}: {error}") from error
            asked = _asked(changed.with_models(models) if models else changed, team, conversations)
            made.append(Arm(name, changed, team, Contestant(name, asked[0]), asked))
        return made


def team_of(flow: Flow) -> str:
    """The only node of a flow in which agents talk. Raises InputError if there is none, or more than one."""
    teams = [name for name, node in flow.nodes.items() if isinstance(node, Team)]
    if len(teams) != 1:
        there = f"it has {', '.join(teams)}" if teams else "it has none"
        raise InputError(
            f"the flow {flow.name!r} must have one team (a node such as `kind: pair`) to choose for; {there}"
        )
    if flow.nodes[teams[0]].for_each is not None:
        raise InputError(f"the team {teams[0]!r} runs once for each of a list: its conversations cannot be told apart")
    return teams[0]


def _changed(flow: Flow, team: str, topology: str, protocol: str | dict[str, Any], text: str) -> Flow:
    """The flow with another way to talk in it."""
    kind, before = KINDS.find(topology), type(flow.nodes[team])
    if not issubclass(kind, Team):
        raise InputError(f"{topology!r} is no kind of team: agents do not talk in it")
    written = flow.written()
    node = {**written["nodes"][team], "kind": topology, "protocol": protocol}
    own = before.model_fields.keys() - Team.model_fields.keys() - kind.model_fields.keys()
    node = {key: value for key, value in node.items() if key not in own}  # what only the other topology has
    if text:
        node["agents"] = [
            {**agent, "instructions": _added(agent.get("instructions", ""), text)} for agent in node["agents"]
        ]
    written["nodes"] = {**written["nodes"], team: node}
    return Flow(**written, base=flow.base)


def _added(instructions: str, text: str) -> str:
    """Instructions, which are a template, with a text behind them that is none."""
    plain = re.sub(r"\{[{%#]", lambda found: "{{ '" + found[0] + "' }}", text.strip())
    return f"{instructions.rstrip()}\n{plain}" if instructions.strip() else plain


def _asked(flow: Flow, team: str, conversations: int) -> tuple[Flow, ...]:
    """The flow as it is run: always the same for one conversation, else with a seed for each."""
    node = flow.nodes[team]
    assert isinstance(node, Team)
    specs = {agent.model: flow.models[agent.model] for agent in node.agents}
    if conversations == 1:
        return (flow.with_models({role: spec.model_copy(update={"temperature": 0.0}) for role, spec in specs.items()}),)
    return tuple(
        flow.with_models(
            {
                role: spec.model_copy(
                    update={
                        "temperature": spec.temperature or SAMPLING_TEMPERATURE,
                        "seed": (spec.seed or SEED) + number,
                    }
                )
                for role, spec in specs.items()
            }
        )
        for number in range(conversations)
    )


def _names(protocols: Sequence[str | dict[str, Any]], topologies: Sequence[str], formats: Sequence[str]) -> list[str]:
    """What the arms are called, in the order of their product: only what tells them apart. Raises InputError."""
    kinds = [one if isinstance(one, str) else str(one.get("kind")) for one in protocols]
    for kind in kinds:
        PROTOCOLS.find(kind)
    often = Counter(kinds)
    said = [
        kind if often[kind] == 1 or isinstance(one, str) else json.dumps(one, ensure_ascii=False)
        for kind, one in zip(kinds, protocols, strict=True)
    ]
    texts = ["" if not text else f" + format {number}" for number, text in enumerate(formats)]
    before = ["" if len(topologies) == 1 else f"{topology} " for topology in topologies]
    names = [f"{first}{middle}{last}" for first, middle, last in product(before, said, texts)]
    twice = next((name for name, number in Counter(names).items() if number > 1), None)
    if twice is not None:
        raise InputError(f"the way {twice!r} is there twice: name each protocol and topology once")
    return names
