"""Team: what all topologies have in common: agents, protocol, what is seen, and how a conversation is closed."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from ..errors import BudgetExceeded, NodeError
from ..orchestrator import Context, ModelRole, Node, Template
from ..orchestrator.part import PartMark
from .agent import Agent, Seat, seated
from .bill import Bill
from .briefing import Briefing
from .conversation import Conversation, Limits
from .ending import Ended, Reason, last_answers, majority
from .matter import Matter
from .play import WORLD, Played, play
from .protocol import ProtocolField
from .protocols.plain import Plain
from .sight import Sees
from .spoken import Spoken
from .summary import Summaries
from .worlds.world import WorldField

TAKEN = ("answer", "call", "result", "summary")
"""What no agent is called, because lines that are not messages begin so."""


class Team(Node):
    """Agents that answer a question together; the value is their answer, a `Spoken`."""

    least: ClassVar[int] = 2
    """How many agents the topology needs."""

    agents: Annotated[list[Agent], PartMark()] = Field(
        default=[],
        description="Who takes part, in the order in which they speak; with a world, its robots if not given.",
    )
    task: Template = Field(default="", description="What everybody is told: the question.")
    world: WorldField = Field(
        default=None, description="The world they act in, step by step, such as {kind: boxes, agents: 4, seed: 3}."
    )
    model: ModelRole | None = Field(
        default=None,
        description="The role that speaks for the robots of a world whose agents are not given; else large.",
    )
    protocol: ProtocolField = Field(default=Plain(), description="The form of their messages.")
    sees: Sees = Field(
        default="all",
        description="What an agent is shown of what was said to it: all; the last messages; the newest of each "
        "predecessor; a summary and the last; in a world, what was done in earlier steps and what was said in this one "
        "(state); or everything, whoever it was said to, and what each agent knows.",
    )
    last: int = Field(default=2, ge=1, description="With `sees: last`: how many messages.")
    refers: bool = Field(
        default=False, description="Refer to what was said once by its id; who has not seen it is shown it once."
    )
    summarize_above: int = Field(
        default=300,
        ge=1,
        description="With `sees: summary`: tokens of messages that are not in it above which it is renewed.",
    )
    max_turns: int = Field(
        default=12, ge=1, description="Most messages of all agents together; in a world, in each step."
    )
    max_tokens: int = Field(default=160, ge=1, description="Most tokens of one message.")
    message_tokens: int | None = Field(default=None, ge=1, description="Most tokens of all messages together.")
    max_calls: int = Field(default=3, ge=1, description="Most calls of tools in one turn.")

    @model_validator(mode="after")
    def _has_a_matter(self) -> Self:
        if self.world is None:
            if not self.task:
                raise ValueError("a team needs a `task`: the question; or a `world`")
            if self.model is not None:
                raise ValueError("`model` is for the robots of a `world`; agents say their own model")
            return self
        robots = self.world.start().names
        if not self.agents:
            team = [Agent(name=name, model=self.model or "large") for name in robots]
            object.__setattr__(self, "agents", team)  # a part is frozen once it is checked, and here it is not yet
        named = {agent.name for agent in self.agents}
        if WORLD in named:
            raise ValueError(f"no agent may be called {WORLD!r}: so is the sender of what comes of a step")
        missing = [name for name in robots if name not in named]
        if missing:
            raise ValueError(f"in this world there is {missing[0]}, but no agent of that name")
        return self

    @model_validator(mode="after")
    def _has_a_team(self) -> Self:
        names = Counter(agent.name for agent in self.agents)
        twice = next((name for name, number in names.items() if number > 1), None)
        if twice is not None:
            raise ValueError(f"two agents are called {twice!r}: messages and bill tell agents apart by name")
        taken = next((name for name in names if name.lower() in TAKEN), None)
        if taken is not None:
            raise ValueError(f"no agent can be called {taken!r}: lines of the prompts begin with that word")
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

    def informed(self) -> tuple[str, ...]:
        """Who is shown what each of the others knows."""
        return ()

    def so_far(self, talk: Conversation) -> str | None:
        """The answer of a conversation that was cut off: what most agents gave last, the latest of equals."""
        return majority(list(last_answers(talk.now, talk.names).values()))

    async def run(self, ctx: Context) -> Spoken:
        """One conversation. Children: the turns, `1-alice`, `2-bob`, ..."""
        before = len(ctx.calls()) if ctx.attempt > 1 else 0
        seats = self.seats(ctx)
        task = ctx.text(self.task).strip()
        about = task if self.world is None else "\n".join(filter(None, (task, self.world.start().rules)))
        protocol = await self.protocol.agreed(ctx, about, seats)
        briefing = Briefing(
            {seat.name: seat for seat in seats},
            protocol,
            ctx.tools,
            self.roles(),
            self.sees,
            self.last,
            self.predecessors(),
            self.refers,
            Summaries(self.summarize_above),
            self.overseers(),
            self.informed(),
        )
        limits = Limits(self.max_turns, self.max_tokens, self.message_tokens, self.max_calls)
        talk = Conversation(ctx, seats, Matter(task), protocol, limits=limits, briefing=briefing)
        if self.world is not None:
            state, reason = await play(talk, self.world.start(), self.converse, self.so_far, task=task)
            return Played.of(state, talk.messages, reason, _note(talk, reason, before))
        try:
            answer, reason = await self.converse(talk)
        except Ended as ended:
            answer, reason = self._cut_off(talk, ended, before), ended.reason
        return Spoken(answer, talk.messages, reason, _note(talk, reason, before))

    def _cut_off(self, talk: Conversation, ended: Ended, before: int) -> str:
        """The answer so far. Raises what ended it, BudgetExceeded or NodeError, if there is none."""
        answer = self.so_far(talk)
        if answer is None:
            _note(talk, ended.reason, before)
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


def _note(talk: Conversation, reason: Reason, before: int) -> Bill:
    """Say how the conversation ended and what it cost; an answer is not needed for that."""
    bill = Bill.of(talk.ctx.calls(), talk.messages, talk.ctx.path, before)
    for line in (f"{reason} after {bill.turns} messages", *bill.lines()):
        talk.ctx.note(line)
    return bill
