"""Team: what all topologies have in common: agents, protocol, what is seen, and how a conversation is closed."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from ..errors import BudgetExceeded, NodeError
from ..orchestrator import Context, Node, Template
from ..orchestrator.part import PartMark
from .agent import Agent, Seat, seated
from .briefing import Briefing
from .conversation import Conversation, Limits
from .ending import Ended, Reason, last_answers, majority
from .matter import Matter
from .protocol import ProtocolField
from .protocols.plain import Plain
from .sight import Sees
from .spoken import Spoken


class Team(Node):
    """Agents that answer a question together; the value is their answer, a `Spoken`."""

    least: ClassVar[int] = 2
    """How many agents the topology needs."""

    agents: Annotated[list[Agent], PartMark()] = Field(description="Who takes part, in the order in which they speak.")
    task: Template = Field(description="What everybody is told: the question.")
    protocol: ProtocolField = Field(default=Plain(), description="The form of their messages.")
    sees: Sees = Field(
        default="all",
        description="What an agent is shown of what was said: all; the last messages; the newest of each predecessor; "
        "or, in a world, what was done in earlier steps and what was said in this one.",
    )
    last: int = Field(default=2, ge=1, description="With `sees: last`: how many messages.")
    max_turns: int = Field(
        default=12, ge=1, description="Most messages of all agents together; in a world, in each step."
    )
    max_tokens: int = Field(default=160, ge=1, description="Most tokens of one message.")
    message_tokens: int | None = Field(default=None, ge=1, description="Most tokens of all messages together.")
    max_calls: int = Field(default=3, ge=1, description="Most calls of tools in one turn.")

    @model_validator(mode="after")
    def _has_a_team(self) -> Self:
        names = Counter(agent.name for agent in self.agents)
        twice = next((name for name, number in names.items() if number > 1), None)
        if twice is not None:
            raise ValueError(f"two agents are called {twice!r}: messages and bill tell agents apart by name")
        if len(self.agents) < self.least:
            raise ValueError(f"a team of this kind needs at least {self.least} agents, not {len(self.agents)}")
        return self

    @abstractmethod
    async def converse(self, talk: Conversation) -> tuple[str, Reason]:
        """Let the agents speak until there is an answer, and say why it is one. What `talk` raises ends it."""

    def seats(self, ctx: Context) -> tuple[Seat, ...]:
        """The agents with what each knows."""
        return tuple(seated(ctx, agent) for agent in self.agents)

    def roles(self) -> dict[str, str]:
        """What the topology tells each agent to do."""
        return {}

    def predecessors(self) -> dict[str, list[str]]:
        """Whose messages each agent answers, where that is not everybody's."""
        return {}

    def overseers(self) -> tuple[str, ...]:
        """Who is told of a matter what each of the others is told of it."""
        return ()

    def so_far(self, talk: Conversation) -> str | None:
        """The answer of a conversation that was cut off: what most agents gave last, the latest of equals."""
        return majority(list(last_answers(talk.now, talk.names).values()))

    async def run(self, ctx: Context) -> Spoken:
        """One conversation. Children: the turns, `1-alice`, `2-bob`, ..."""
        seats = self.seats(ctx)
        task = ctx.text(self.task).strip()
        protocol = await self.protocol.agreed(ctx, task, seats)
        briefing = Briefing(
            {seat.name: seat for seat in seats},
            protocol,
            ctx.tools,
            self.roles(),
            self.sees,
            self.last,
            self.predecessors(),
            overseers=self.overseers(),
        )
        limits = Limits(self.max_turns, self.max_tokens, self.message_tokens, self.max_calls)
        talk = Conversation(ctx, seats, Matter(task), protocol, limits=limits, briefing=briefing)
        return _closed(talk, *await self.decision(talk))

    async def decision(self, talk: Conversation) -> tuple[str, Reason]:
        """What the agents come to, or the answer so far where their conversation is cut off, and why it ended.

        Raises BudgetExceeded, and NodeError, if it is cut off before there is an answer.
        """
        try:
            return await self.converse(talk)
        except Ended as ended:
            return self._cut_off(talk, ended), ended.reason

    def _cut_off(self, talk: Conversation, ended: Ended) -> str:
        answer = self.so_far(talk)
        if isinstance(ended.error, BudgetExceeded):
            if answer is None:
                raise ended.error
            talk.ctx.cut_short(ended.error)
        elif answer is None:
            why = f"{ended.error}" if ended.error is not None else WHY[ended.reason]
            raise NodeError(f"nobody gave an answer in {len(talk.now)} messages, and then {why}") from ended.error
        elif ended.error is not None:
            talk.ctx.note(f"ended by a failure: {ended.error}")
        return answer


WHY: dict[Reason, str] = {
    "turns": "`max_turns` was reached",
    "tokens": "`message_tokens` was reached",
    "silent": "all fell silent",
    "repeating": "all repeated themselves",
    "unreadable": "no message followed the protocol",
    "undecided": "the one who decides gave none when asked again",
}


def _closed(talk: Conversation, answer: str, reason: Reason) -> Spoken:
    spoken = Spoken(answer, talk.messages, reason)
    talk.ctx.note(f"{reason} after {spoken.turns} messages with {spoken.message_tokens:,} tokens")
    return spoken
