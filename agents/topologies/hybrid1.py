"""`kind: hybrid1`: a central agent proposes, and all talk about it in turn.

That of Chen et al. 2023 (arXiv 2309.15943), where it is called HMAS-1.
"""

from __future__ import annotations

from ...orchestrator import kind
from ..conversation import Conversation
from ..ending import Reason
from .round import ROLE, Round

CENTRAL = "You make the first proposal for all: a complete answer."


@kind("hybrid1")
class Hybrid1(Round):
    """The first agent proposes an answer; then it goes on as in `round`, from the second agent, the first one last.

    The central agent is told what each of the others sees of the matter, but not their contexts.
    """

    def roles(self) -> dict[str, str]:
        """As in `round`, and the first one begins."""
        central = self.agents[0].name
        return {**super().roles(), central: f"{ROLE} {CENTRAL}"}

    def overseers(self) -> tuple[str, ...]:
        """The central agent."""
        return (self.agents[0].name,)

    async def converse(self, talk: Conversation) -> tuple[str, Reason]:
        """The proposal, then the dialogue."""
        central, *others = talk.names
        return await self.dialogue(talk, [*others, central], await self.decide(talk, central))
