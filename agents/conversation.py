"""Conversation: the engine of all topologies. It keeps what was said, shows each agent its part, knows the limits.

A topology says who speaks next and to whom; everything else is here.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

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
    """Most messages."""
    message: int
    """Most tokens of one message."""
    messages: int | None = None
    """Most tokens of all messages."""
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

    @property
    def names(self) -> list[str]:
        """The agents, in the order of the flow."""
        return list(self.seats)

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
        self, asks: Mapping[str, str], *, to: Sequence[str] = (), act: Act = "inform"
    ) -> list[Message]:
        """Let several agents speak, none of whom hears the others; the messages are in the order of `asks`."""
        if len(self.messages) + len(asks) > self.limits.turns:
            raise Ended("turns")
        await self._summarize(asks)
        failures: dict[str, LaconicError] = {}
        first = len(self.messages) + 1
        known = {name: self.briefing.known(name, self.messages, self.step) for name in asks}
        nodes = {
            f"{number}-{name}": Speak(
                seat=self.seats[name],
                protocol=self.protocol,
                to=self._readers(name, to),
                turns=self.briefing.prompt(name, ask, matter=self.matter, messages=self.messages, step=self.step),
                most=self._most(),
                calls=self.limits.calls,
                failures=failures,
                on_error="skip",
            )
            for number, (name, ask) in enumerate(asks.items(), start=first)
        }
        said: list[Utterance | None] = list((await self.ctx.expand(nodes)).values())
        messages = [
            self.heard(name, utterance, to=to, act=act, number=number, known=known[name])
            for number, (name, utterance) in enumerate(zip(asks, said, strict=True), start=first)
            if utterance is not None
        ]
        for error in failures.values():
            raise Ended("budget" if isinstance(error, BudgetExceeded) else "failed", error)
        self._go_on()
        return messages

    def heard(
        self,
        name: str,
        said: Utterance,
        *,
        to: Sequence[str] = (),
        act: Act = "inform",
        number: int | None = None,
        known: frozenset[str] = frozenset(),
    ) -> Message:
        """Enter what an agent said. `number`: that of its node; `known`: the ids of what it had been shown."""
        message = Message(
            number=number or len(self.messages) + 1,
            sender=name,
            to=self._readers(name, to),
            act=act,
            text=said.text,
            answer=said.answer or given_back(said.text, self.messages, self.step),
            step=self.step,
            understood=said.understood,
            tokens=said.tokens,
            at=time.time(),
            known=known,
        )
        self.messages.append(message)
        return message

    def agreed(self) -> str | None:
        """The answer that all agents gave in their last message."""
        return agreed(self.messages, self.names)

    def _readers(self, name: str, to: Sequence[str]) -> tuple[str, ...]:
        return tuple(to) or tuple(other for other in self.names if other != name)

    async def _summarize(self, names: Collection[str]) -> None:
        try:
            for name in names:
                await self.briefing.renew_summary(self.ctx, name, self.messages, self.step)
        except LaconicError as error:
            raise Ended("budget" if isinstance(error, BudgetExceeded) else "failed", error) from error

    def _most(self) -> int:
        left = self.limits.message if self.limits.messages is None else self.limits.messages - self.spent
        if left <= 0:
            raise Ended("tokens")
        return min(left, self.limits.message)

    def _go_on(self) -> None:
        reason = nothing_new(self.messages, self.names)
        if reason is not None:
            raise Ended(reason)
