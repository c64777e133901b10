"""`kind: central`: one agent is told what all know, and decides for all with one call.

That of Chen et al. 2023 (arXiv 2309.15943), where it is called CMAS.
"""

from __future__ import annotations

from ...orchestrator import kind
from ..conversation import Conversation
from ..deciding import Deciding
from ..ending import Reason

ROLE = "You decide for all. What the others know they have reported to you; they do not speak. Give the answer."


@kind("central")
class Central(Deciding):
    """The first agent decides. The others make no call: their contexts are given to it as what each reports, and so is
    what each of them sees of the matter.
    """

    def roles(self) -> dict[str, str]:
        """Only the central agent has one."""
        return {self.agents[0].name: ROLE}

    def overseers(self) -> tuple[str, ...]:
        """The central agent."""
        return (self.agents[0].name,)

    def informed(self) -> tuple[str, ...]:
        """The central agent: it is shown what all know, behind the name of whom it is from."""
        return (self.agents[0].name,)

    async def converse(self, talk: Conversation) -> tuple[str, Reason]:
        """One message, and more only to mend it."""
        decision = await self.decide(talk, talk.names[0])
        return decision.answer, decision.reason
