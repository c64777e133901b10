"""Conversation: the engine of all topologies. It keeps what was said, shows each agent its part, knows the limits.

A topology says who speaks next and to whom; everything else is here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from ..errors import BudgetExceeded, LaconicError
from ..orchestrator import Context
from .agent import Seat
from .briefing import Briefing
from .ending import Ended, agreed, given_back, nothing_new
from .matter import Matter
from .message import Act, Message
from .protocol import Protocol
from .speak import Speak, Utterance


@dataclass(frozen=True)
class Limits:
    """Where a conversation ends whatever is said."""

    turns: int
    """Most messages of one decision: in a world, of one step."""
    message: int
    """Most tokens of one message."""
    messages: int | None = None
    """Most tokens of all messages, of all steps."""
    calls: int = 3
    """Most calls of tools in one turn."""


class Conversation:
    """One conversation of one run."""

    def __init__(
        self,
        ctx: Context,
        seats: Sequence[Seat],
        matter: Matter,
        protocol: Protocol,
        *,
        limits: Limits,
        briefing: Briefing,
    ) -> None:
        self.ctx = ctx
        self.seats = {seat.name: seat for seat in seats}
        self.matter = matter
        self.protocol = protocol
        self.limits = limits
        self.briefing = briefing
        self.messages: list[Message] = []
        self.step = 1
        self._turns = 0

    @property
    def names(self) -> list[str]:
        """The agents, in the order of the flow."""
        return list(self.seats)

    @property
    def now(self) -> list[Message]:
        """What the agents said about what is to be decided now: in a world, in this step."""
        return [message for message in self.messages if message.step == self.step and message.act != "step"]

    @property
    def left(self) -> int:
        """How many messages may still be sent about what is to be decided now."""
        return self.limits.turns - len(self.now)

    @property
    def spent(self) -> int:
        """Tokens of all messages, as far as servers say."""
        return sum(message.tokens or 0 for message in self.messages)

    async def say(self, name: str, *, to: Sequence[str] = (), act: Act = "inform", ask: str = "") -> Message:
        """Let one agent speak, to everybody else if `to` is empty; `ask` is what it is asked for in this turn.

        Raises Ended if it cannot, or if the conversation should not go on after it.
        """
        (message,) = await self.say_at_once({name: ask}, to=to, act=act)
        return message

    async def say_at_once(
        self,
        asks: Mapping[str, str],
        *,
        to: Sequence[str] = (),
        act: Act = "inform",
        turn: Callable[..., Speak] = Speak,
    ) -> list[Message]:
        """Let several agents speak, none of whom hears the others; the messages are in the order of `asks`.

        `turn` makes their nodes. Raises Ended; what was said by those who could speak is entered before.
        """
        if len(asks) > self.left:
            raise Ended("turns")
        await self._summarize(asks)
        most = self._most(len(asks))
        failures: dict[str, LaconicError] = {}
        numbers = {name: self.numbered() for name in asks}
        known = {name: self.briefing.known(name, self.messages, self.step) for name in asks}
        nodes = {
            f"{numbers[name]}-{name}": turn(
                seat=self.seats[name],
                protocol=self.protocol,
                to=self._readers(name, to),
                turns=self.briefing.prompt(
                    name,
                    ask,
                    matter=self.matter,
                    messages=self.messages,
                    step=self.step,
                    may_answer=turn is Speak,
                ),
                most=most,
                calls=self.limits.calls,
                failures=failures,
                on_error="skip",
            )
            for name, ask in asks.items()
        }
        said: Mapping[str, Utterance | None] = await self.ctx.expand(nodes)  # in the order in which they ended
        messages = [
            self.heard(name, utterance, to=to, act=act, number=numbers[name], known=known[name])
            for name, path in zip(asks, nodes, strict=True)
            if (utterance := said[path]) is not None
        ]
        self._stop_at(failures)
        self._go_on()
        return messages

    def numbered(self) -> int:
        """The number of the next message, which is that of its node: whose turn failed leaves a gap."""
        self._turns += 1
        return self._turns

    def heard(
        self,
        name: str,
        said: Utterance,
        *,
        number: int,
        to: Sequence[str] = (),
        act: Act = "inform",
        known: frozenset[str] = frozenset(),
    ) -> Message:
        """Enter what an agent said. `known`: the ids of what it had been shown."""
        message = Message(
            number=number,
            sender=name,
            to=self._readers(name, to),
            act=said.act or act,
            text=said.text,
            answer=said.answer or (None if said.act else given_back(said.text, self.messages, self.step)),
            step=self.step,
            understood=said.understood,
            tokens=said.tokens,
            at=time.time(),
            known=known,
            verdict=said.verdict,
        )
        self.messages.append(message)
        return message

    def withdraw(self, message: Message) -> None:
        """Its sender replaced it: no agent is shown it any more."""
        self.messages[self.messages.index(message)] = msgspec.structs.replace(message, withdrawn=True)

    def agreed(self) -> str | None:
        """The answer that all agents gave in their last message."""
        return agreed(self.now, self.names)

    def _readers(self, name: str, to: Sequence[str]) -> tuple[str, ...]:
        return tuple(to) or tuple(other for other in self.names if other != name)

    async def _summarize(self, names: Collection[str]) -> None:
        try:
            for name in names:
                await self.briefing.renew_summary(self.ctx, name, self.messages, self.step)
        except LaconicError as error:
            raise Ended("budget" if isinstance(error, BudgetExceeded) else "failed", error) from error

    def _most(self, speakers: int) -> int:
        """Most tokens of each message where so many are written at once."""
        if self.limits.messages is None:
            return self.limits.message
        share = (self.limits.messages - self.spent) // speakers
        if share <= 0:
            raise Ended("tokens")
        return min(share, self.limits.message)

    def _stop_at(self, failures: Mapping[str, LaconicError]) -> None:
        """A wall before any other failure: it is what the run's status says."""
        wall = next((error for error in failures.values() if isinstance(error, BudgetExceeded)), None)
        if wall is not None:
            raise Ended("budget", wall)
        for error in failures.values():
            raise Ended("failed", error)

    def _go_on(self) -> None:
        reason = nothing_new(self.now, self.names)
        if reason is not None:
            raise Ended(reason)
