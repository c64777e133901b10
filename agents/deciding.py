"""Deciding: teams in which one agent at a time answers for all, and mends its answer where it cannot stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import Field

from ..orchestrator.shown import as_data
from .conversation import Conversation
from .ending import Ended, Reason
from .message import Act, Message
from .team import Team

MISSING = "Your message gives no answer: {}."
AGAIN = "Write your message again, with an answer that can stand."


@dataclass(frozen=True)
class Decision:
    """An answer that somebody gave for all."""

    answer: str
    sender: str
    complaint: str = ""
    """What still speaks against it."""

    @property
    def reason(self) -> Reason:
        """Why a conversation ends with it."""
        return "unfit" if self.complaint else "decided"


class Deciding(Team):
    """A team whose answer is what one of them decides."""

    repairs: int = Field(
        default=2,
        ge=0,
        description="How often, at most, the one who decides is asked again if it gives no answer, or one that cannot "
        "stand.",
    )

    async def decide(
        self, talk: Conversation, name: str, *, ask: str = "", to: Sequence[str] = (), act: Act = "propose"
    ) -> Decision:
        """Let an agent say its decision, and mend it. Raises Ended, `undecided` if it gives none."""
        return await self.settle(talk, await talk.say(name, to=to, act=act, ask=ask))

    async def settle(self, talk: Conversation, message: Message) -> Decision:
        """Ask whoever sent `message` again, each time with the complaint, until nothing speaks against its decision.

        Only the latest draft is shown to it, and to the others later. It is not asked again once it repeats itself or
        answers with less than it had. Raises Ended, `undecided` if there is no decision in the end.
        """
        for _ in range(self.repairs):
            complaint = against(talk, message)
            if not complaint:
                break
            ask = f"{as_data(complaint)}\n{AGAIN}"
            again = await talk.say(message.sender, to=message.to, act=message.act, ask=ask)
            if message.answer is not None and again.answer is None:
                talk.withdraw(again)
                break
            talk.withdraw(message)
            repeated = again.text == message.text
            message = again
            if repeated:
                break
        if message.answer is None:
            raise Ended("undecided")
        return Decision(message.answer, message.sender, against(talk, message))

    def so_far(self, talk: Conversation) -> str | None:
        """The last answer that can stand, else the last one."""
        given = [message.answer for message in talk.now if message.answer is not None]
        fit = [answer for answer in given if not talk.matter.complaint(answer)]
        return next(reversed(fit or given), None)


def against(talk: Conversation, message: Message) -> str:
    """What speaks against the decision of a message; empty if nothing."""
    if message.answer is None:
        return MISSING.format(talk.protocol.answering)
    return talk.matter.complaint(message.answer)
