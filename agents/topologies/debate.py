"""`kind: debate`: a solver proposes, critics agree or object, the solver corrects itself."""

from __future__ import annotations

from ...orchestrator import kind
from ...orchestrator.agreement import same_answer
from ..conversation import Conversation
from ..deciding import Deciding
from ..ending import Reason
from ..feedback import accepted, feedback

SOLVER = "You solve the task. If someone objects, correct your answer, or give it again if it is right."
CRITIC = "You check the answer of {solver}. You give no answer yourself."
REVISE = "Look at the objection. Correct your answer, or give it again if it is right."


@kind("debate")
class Debate(Deciding):
    """The first agent solves, the others are its critics, who are asked at once.

    It ends when no critic objects, or when the solver gives its answer again after they did. A critic is heard by the
    solver alone.
    """

    def roles(self) -> dict[str, str]:
        """One solver, one or several critics."""
        solver, *critics = (agent.name for agent in self.agents)
        return {solver: SOLVER, **dict.fromkeys(critics, CRITIC.format(solver=solver))}

    async def converse(self, talk: Conversation) -> tuple[str, Reason]:
        """Proposal, criticism, revision, criticism, ..."""
        solver, *critics = talk.names
        decision = await self.decide(talk, solver)
        while not decision.complaint:
            reason = accepted(await feedback(talk, critics, to=[solver]))
            if reason is not None:
                return decision.answer, reason
            revised = await self.decide(talk, solver, ask=REVISE, act="revise")
            if same_answer(revised.answer, decision.answer):
                return revised.answer, revised.reason
            decision = revised
        return decision.answer, decision.reason
