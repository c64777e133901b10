"""`kind: hybrid2`: a central agent proposes, those that have a part in it agree or object at once, it revises once.

That of Chen et al. 2023 (arXiv 2309.15943), where it is called HMAS-2.
"""

from __future__ import annotations

from ...orchestrator import kind
from ..conversation import Conversation
from ..deciding import Deciding
from ..ending import Reason
from ..feedback import accepted, feedback

CENTRAL = "You decide for all. Propose an answer; the others may object, and then you revise it once."
OTHER = "{central} proposes an answer. You check it against what you know."
REVISE = "Look at the objections and give the final answer."


@kind("hybrid2")
class Hybrid2(Deciding):
    """The first agent decides; the others give feedback, to it alone, and only on what they have a part in.

    The central agent is told what each of the others sees of the matter, but not their contexts.
    """

    def roles(self) -> dict[str, str]:
        """One proposes, the others check."""
        central, *others = (agent.name for agent in self.agents)
        return {central: CENTRAL, **dict.fromkeys(others, OTHER.format(central=central))}

    def overseers(self) -> tuple[str, ...]:
        """The central agent."""
        return (self.agents[0].name,)

    async def converse(self, talk: Conversation) -> tuple[str, Reason]:
        """A proposal, feedback if it can stand, and a revision if anybody objects."""
        central, *others = talk.names
        proposal = await self.decide(talk, central)
        involved = talk.matter.involved(proposal.answer, talk.names)
        asked = [name for name in others if name in involved]
        if proposal.complaint or not asked:
            return proposal.answer, proposal.reason
        reason = accepted(await feedback(talk, asked, to=[central]))
        if reason is not None:
            return proposal.answer, reason
        revised = await self.decide(talk, central, ask=REVISE, act="revise")
        return revised.answer, revised.reason
