"""`kind: chain`: each agent hands its notes to the next, and the last one answers."""

from __future__ import annotations

from itertools import pairwise

from ...orchestrator import kind
from ..conversation import Conversation
from ..deciding import Deciding
from ..ending import Reason

FIRST = "Write notes for the next: what you know that matters for the task."
NEXT = "Write notes for the next: what you were told and what you know, as far as it matters for the task."
LAST = "You are the last. Give the answer from what you were told and what you know."


@kind("chain")
class Chain(Deciding):
    """The agents speak once each, in the order of the flow.

    Each hears all before it; with `sees: predecessors` it is shown the notes of the one before it and nothing else.
    """

    def roles(self) -> dict[str, str]:
        """The first one has no notes to go on, the last one writes none."""
        first, *between, last = (agent.name for agent in self.agents)
        return {first: FIRST, **dict.fromkeys(between, NEXT), last: LAST}

    def predecessors(self) -> dict[str, list[str]]:
        """The one before."""
        names = [agent.name for agent in self.agents]
        return {names[0]: [], **{after: [before] for before, after in pairwise(names)}}

    async def converse(self, talk: Conversation) -> tuple[str, Reason]:
        """From the first to the last."""
        *before, last = talk.names
        for name in before:
            await talk.say(name)
        decision = await self.decide(talk, last)
        return decision.answer, decision.reason
