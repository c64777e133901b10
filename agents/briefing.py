"""Briefing: what an agent is shown before it speaks.

Its context comes first and its instructions next, so that a server's prefix cache keeps them from turn to turn, and
across questions and protocols about the same documents.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from ..orchestrator import Tool
from ..tools.calling import tool_lines
from .agent import Seat
from .matter import Matter
from .message import Message, indented
from .protocol import Protocol
from .sight import Sees, visible
from .speak import CALL

ASK = "Your message:"
"""What an agent is asked for where its topology asks for nothing else."""


@dataclass(frozen=True)
class Briefing:
    """How the agents of one conversation are briefed."""

    seats: Mapping[str, Seat]
    protocol: Protocol
    tools: Mapping[str, Tool] = field(default_factory=dict)
    roles: Mapping[str, str] = field(default_factory=dict)
    """What the topology tells each agent to do."""
    sees: Sees = "all"
    last: int = 2
    predecessors: Mapping[str, Collection[str]] = field(default_factory=dict)
    """Who speaks to whom, for `sees: predecessors`; whoever is not named hears everybody."""
    overseers: Collection[str] = ()
    """Who is told of a matter what each of the others is told of it."""

    def prompt(
        self, name: str, ask: str, *, matter: Matter, messages: Sequence[Message], step: int
    ) -> list[dict[str, str]]:
        """What an agent is shown: what it knows and who it is, then the matter, then what it sees of what was said.

        What it said itself stands as its own turns.
        """
        turns = [_turn("system", self._system(self.seats[name]))]
        waiting = [matter.brief, *self._views(name, matter)]
        for message in self.seen_by(name, messages, step):
            if message.sender == name:
                turns.append(_turn("user", "\n".join(waiting) or ASK))  # roles take turns: templates insist on it
                turns.append(_turn("assistant", message.text))
                waiting = []
            else:
                waiting.append(message.show())
        waiting.append(ask or ASK)
        turns.append(_turn("user", "\n".join(waiting)))
        return turns

    def seen_by(self, name: str, messages: Sequence[Message], step: int) -> list[Message]:
        """The messages that an agent is shown: of those that are for it, what its sight lets it see."""
        standing = [m for m in messages if not m.withdrawn]
        own = [m for m in standing if m.sender == name or name in m.to or m.act == "step"]
        speakers = self.predecessors.get(name, [other for other in self.seats if other != name])
        return visible(own, name, self.sees, last=self.last, predecessors=speakers, step=step)

    def _views(self, name: str, matter: Matter) -> list[str]:
        others = [other for other in self.seats if other != name] if name in self.overseers else []
        views = {other: matter.view(other) for other in others}
        reports = [f"{other}: {indented(view)}" for other, view in views.items() if view]
        return [*filter(None, [matter.view(name)]), *reports]

    def _system(self, seat: Seat) -> str:
        known = ["\n".join(["What only you know:", *seat.context])] if seat.context else []
        others = [name for name in self.seats if name != seat.name]
        identity = f"You are {seat.name}. You work with {', '.join(others)}."
        tools = []
        if seat.tools:
            lines = tool_lines(self.tools, seat.tools)
            listed = "\n".join(f"{line.name}[{line.argument_hint}]: {line.description}" for line in lines)
            tools = [f"Before your message you may call a tool, by a line that begins with {CALL}\n{listed}"]
        told = [self.roles.get(seat.name, ""), seat.instructions]
        return "\n\n".join(filter(None, [*known, identity, *told, *tools, self.protocol.instruction()]))


def _turn(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}
