"""Briefing: what an agent is shown before it speaks.

Its context comes first and its instructions next, so that a server's prefix cache keeps them from turn to turn, and
across questions and protocols about the same documents. Texts from outside are data: only their first line begins
where the engine's own lines do, and that behind a label.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from ..orchestrator import Context, Tool
from ..orchestrator.shown import as_data
from ..tools.calling import tool_lines
from .agent import Seat
from .matter import Matter
from .message import Message, indented
from .protocol import Protocol
from .references import Labels, Passage, References, Shown, labelled
from .sight import Sees, visible
from .speak import CALL
from .summary import Summaries

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
    references: bool = False
    """Whether what was said once is referred to by its id."""
    summaries: Summaries = field(default_factory=Summaries)
    """Those of this conversation, for `sees: summary`."""
    overseers: Collection[str] = ()
    """Who is told of a matter what each of the others is told of it."""
    informed: Collection[str] = ()
    """Who is shown what each of the others knows."""

    def prompt(
        self,
        name: str,
        ask: str,
        *,
        matter: Matter,
        messages: Sequence[Message],
        step: int,
        may_answer: bool = True,
    ) -> list[dict[str, str]]:
        """What an agent is shown: what it knows and who it is, then the matter, then what it sees of what was said.

        What it said itself stands as its own turns. `may_answer`: what an answer looks like is told too.
        """
        turns = [_turn("system", self._system(self.seats[name]))]
        waiting = [indented(matter.brief), *self._views(name, matter)]
        for passage in self._shown(name, messages, step).passages:
            waiting += passage.put_back
            if passage.message.sender == name:
                turns.append(_turn("user", "\n".join(waiting) or ASK))  # roles take turns: templates insist on it
                turns.append(_turn("assistant", passage.text))
                waiting = []
            else:
                waiting.append(passage.show())
        if matter.answered and may_answer:
            waiting.append(f"{matter.answered} Once you know it, {self.protocol.answering}.")
        waiting.append(ask or ASK)
        turns.append(_turn("user", "\n".join(waiting)))
        return turns

    def known(self, name: str, messages: Sequence[Message], step: int) -> frozenset[str]:
        """The ids of the texts that stand in an agent's prompt; none where no ids are shown."""
        return self._shown(name, messages, step).known

    def seen_by(self, name: str, messages: Sequence[Message], step: int) -> list[Message]:
        """The messages that an agent is shown: of those that are for it, what its sight lets it see."""
        seen = self._in_sight(name, messages, step)
        return self.summaries.of(seen) if self.sees == "summary" else seen

    async def renew_summary(self, ctx: Context, name: str, messages: Sequence[Message], step: int) -> None:
        """With `sees: summary`: summarise what the agent heard, if it is time. Raises BackendError, BudgetExceeded."""
        if self.sees != "summary":
            return
        heard = self._in_sight(name, messages, step)
        due = self.summaries.due(heard)
        if due:
            await self.summaries.renew(ctx, self.seats[name], heard, self._as_read(due, messages, "", ()))

    def _in_sight(self, name: str, messages: Sequence[Message], step: int) -> list[Message]:
        speakers = self.predecessors.get(name, [other for other in self.seats if other != name])
        standing = [message for message in messages if not message.withdrawn]
        return visible(standing, name, self.sees, last=self.last, predecessors=speakers, step=step)

    def _shown(self, name: str, messages: Sequence[Message], step: int) -> Shown:
        return self._as_read(self.seen_by(name, messages, step), messages, name, self._owners(name))

    def _as_read(
        self, seen: Sequence[Message], messages: Sequence[Message], reader: str, listed: Collection[str]
    ) -> Shown:
        if self.references:
            return References(self._labels, messages).shown(seen, reader, listed)
        return Shown(tuple(Passage(message, as_data(message.text)) for message in seen))

    @cached_property
    def _labels(self) -> Labels:
        return labelled({name: seat.context for name, seat in self.seats.items()})

    def _owners(self, name: str) -> list[str]:
        """Those whose knowledge an agent is shown."""
        return list(self.seats) if self.sees == "everything" or name in self.informed else [name]

    def _views(self, name: str, matter: Matter) -> list[str]:
        others = [other for other in self.seats if other != name] if name in self.overseers else []
        views = {other: matter.view(other) for other in others}
        reports = [f"{other}: {indented(view)}" for other, view in views.items() if view]
        return [*filter(None, [indented(matter.view(name))]), *reports]

    def _system(self, seat: Seat) -> str:
        others = [name for name in self.seats if name != seat.name]
        identity = f"You are {seat.name}. You work with {', '.join(others)}."
        tools = []
        if seat.tools:
            lines = tool_lines(self.tools, seat.tools)
            listed = "\n".join(f"{line.name}[{line.argument_hint}]: {line.description}" for line in lines)
            tools = [f"Before your message you may call a tool, by a line that begins with {CALL}\n{listed}"]
        told = [self.roles.get(seat.name, ""), seat.instructions]
        parts = [self._knowledge(seat.name), identity, *told, *tools, self._about_ids(seat.name)]
        return "\n\n".join(filter(None, [*parts, self.protocol.instruction()]))

    def _knowledge(self, name: str) -> str:
        """What an agent is shown of what agents know. `everything` is the same for all, so that a server keeps it."""
        owners = self._owners(name)
        if self.references:
            ids = References(self._labels, ())
            lines = [f"[{id}] {indented(ids.listing(id))}" for owner in owners for id in self._labels[owner]]
        else:
            lines = [
                f"- {f'{owner}: ' if len(owners) > 1 else ''}{indented(text)}"
                for owner in owners
                for text in self.seats[owner].context
            ]
        heading = "What each of you knows:" if len(owners) > 1 else "What only you know:"
        return "\n".join([heading, *lines]) if lines else ""

    def _about_ids(self, name: str) -> str:
        if not self.references:
            return ""
        example = next(iter(self._labels[name]), "M1")
        return f"Do not repeat a text that has an id: write the id, such as [{example}], and whoever needs it sees it."


def _turn(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}
