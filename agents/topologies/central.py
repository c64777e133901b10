"""`kind: central`: one agent is told what all know, and decides for all with one call.

That of Chen et al. 2023 (arXiv 2309.15943), where it is called CMAS.
"""

from __future__ import annotations

from dataclasses import replace

from ...orchestrator import Context, kind
from ..agent import Seat
from ..conversation import Conversation
from ..deciding import Deciding
from ..ending import Reason
from ..message import indented

ROLE = "You decide for all. What the others know they have reported to you; they do not speak. Give the answer."


@kind("central")
class Central(Deciding):
    """The first agent decides. The others make no call: their contexts are given to it as what each reports, and so is
    what each of them sees of the matter.
    """

    def seats(self, ctx: Context) -> tuple[Seat, ...]:
        """The central agent knows what all know, behind the name of whom it is from."""
        central, *others = super().seats(ctx)
        reports = [f"{seat.name} reports: {indented(text)}" for seat in others for text in seat.context]
        return (replace(central, context=(*central.context, *reports)), *others)

    def roles(self) -> dict[str, str]:
        """Only the central agent has one."""
        return {self.agents[0].name: ROLE}

    def overseers(self) -> tuple[str, ...]:
        """The central agent."""
        return (self.agents[0].name,)

    async def converse(self, talk: Conversation) -> tuple[str, Reason]:
        """One message, and more only to mend it."""
        decision = await self.decide(talk, talk.names[0])
        return decision.answer, decision.reason
