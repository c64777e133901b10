"""`kind: star`: workers report to a hub at once, and the hub answers."""

from __future__ import annotations

from pydantic import Field

from ...orchestrator import kind
from ..conversation import Conversation
from ..deciding import Deciding
from ..ending import Reason

HUB = "The others report to you what they know. You give the answer."
WORKER = "You report to {hub} what you know that matters for the task. {hub} gives the answer."
ASKING = "Give the answer if you know it. If not, ask the others for what is missing and give no answer yet."
ANSWER = "Give the answer now."


@kind("star")
class Star(Deciding):
    """The first agent is the hub. Workers are heard by the hub alone, and are shown only what it said to them."""

    rounds: int = Field(
        default=1, ge=1, description="How often the workers report, at most: again only if the hub asks for more."
    )

    def roles(self) -> dict[str, str]:
        """One hub, the others its workers."""
        hub, *workers = (agent.name for agent in self.agents)
        return {hub: HUB, **dict.fromkeys(workers, WORKER.format(hub=hub))}

    async def converse(self, talk: Conversation) -> tuple[str, Reason]:
        """Reports, then the answer or a question."""
        hub, *workers = talk.names
        for _ in range(self.rounds - 1):
            await talk.say_at_once(dict.fromkeys(workers, ""), to=[hub])
            said = await talk.say(hub, ask=ASKING)
            if said.answer is not None:
                decision = await self.settle(talk, said)
                return decision.answer, decision.reason
        await talk.say_at_once(dict.fromkeys(workers, ""), to=[hub])
        decision = await self.decide(talk, hub, ask=ANSWER)
        return decision.answer, decision.reason
