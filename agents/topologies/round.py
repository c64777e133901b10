"""`kind: round`: agents speak in a fixed cyclic order until one of them carries out the plan that stands.

That of Chen et al. 2023 (arXiv 2309.15943), where it is called DMAS and each turn ends with a word that hands on or
carries out. Here a turn without an answer hands on, which costs nothing. A turn with one makes it the plan, and the
next agent is asked for a single token: to carry it out, or to speak. A plan therefore has two who hold it right, and
is written once.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from ...orchestrator import kind
from ...orchestrator.agreement import same_answer
from ...orchestrator.shown import as_data
from ..conversation import Conversation
from ..deciding import Deciding, Decision
from ..ending import Reason
from ..feedback import feedback
from ..message import Message

ROLE = (
    "You decide together and speak in turn. Tell the others what they must know. Once you know enough, give a complete "
    "answer; it is carried out when another agrees."
)
QUESTION = (
    "Shall the last answer of {sender} be carried out as it is?\n"
    "A: yes, I agree\nB: no, I object\nReply with one letter only."
)
OBJECTING = "Tell the others what is wrong, or what they must know, and give a better answer if you have one."
OBJECTED = "Your answer was not agreed to. Give a better one, or say why it is right."
LAST = "Nobody speaks after you. Give the answer now."


@kind("round")
class Round(Deciding):
    """The agents speak in the order of the flow, again and again."""

    rounds: int = Field(default=4, ge=1, description="Most rounds; after them the last answer that can stand does.")

    def roles(self) -> dict[str, str]:
        """The same for all."""
        return {agent.name: ROLE for agent in self.agents}

    async def converse(self, talk: Conversation) -> tuple[str, Reason]:
        """Round by round, beginning with no plan."""
        return await self.dialogue(talk, talk.names)

    async def dialogue(
        self, talk: Conversation, order: Sequence[str], plan: Decision | None = None
    ) -> tuple[str, Reason]:
        """Turn by turn, until the plan that stands is carried out or the rounds are over."""
        for name in [*order] * self.rounds:
            message = await self._turn(talk, name, plan)
            if plan is not None and plan.sender != name and _carries_out(message, plan):
                return plan.answer, "decided"
            if message.answer is not None:
                other = await self.settle(talk, message)
                if plan is None or plan.complaint or not other.complaint:  # what can stand is not lost to what cannot
                    plan = other
        if plan is None:
            plan = await self.decide(talk, order[-1], ask=LAST)
            return plan.answer, plan.reason
        return plan.answer, "unfit" if plan.complaint else "turns"

    async def _turn(self, talk: Conversation, name: str, plan: Decision | None) -> Message:
        if plan is None:
            return await talk.say(name)
        if plan.complaint:
            return await talk.say(name, ask=f"The answer of {plan.sender} cannot stand: {as_data(plan.complaint)}")
        if plan.sender == name:
            return await talk.say(name, ask=OBJECTED)
        question = QUESTION.format(sender=plan.sender)
        (message,) = await feedback(talk, [name], question=question, objecting=OBJECTING, proposing=True)
        return message


def _carries_out(message: Message, plan: Decision) -> bool:
    """Whether a turn is for the plan: by its token, or by giving the same answer."""
    again = message.answer is not None and same_answer(message.answer, plan.answer)
    return message.act == "agree" or (again and not plan.complaint)
