"""`kind: pair`: agents that know different things speak in turn until all give the same answer."""

from __future__ import annotations

from itertools import cycle

from ...orchestrator import kind
from ..conversation import Conversation
from ..ending import Reason
from ..team import Team

ROLE = (
    "Each of you knows only a part of what is needed. Tell the others what you know that matters for the task, ask for "
    "what you miss, and give the answer once you know it; if another gave it and you agree, give the same."
)


@kind("pair")
class Pair(Team):
    """The agents speak in the order of the flow until the last message of each has the same answer."""

    def roles(self) -> dict[str, str]:
        """The same for all."""
        return {agent.name: ROLE for agent in self.agents}

    async def converse(self, talk: Conversation) -> tuple[str, Reason]:
        """Turn by turn."""
        for name in cycle(talk.names):
            await talk.say(name)
            answer = talk.agreed()
            if answer is not None:
                return answer, "agreed"
        raise AssertionError("a cycle has no end")
