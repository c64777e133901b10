"""`kind: pair`: agents that know different things speak in turn until all give the same answer."""

from __future__ import annotations

from itertools import cycle

from ...orchestrator import kind
from ..conversation import Conversation
from ..ending import Reason
from ..team import Team

ROLE = (
    "Each of you knows only a part of what the answer needs. Write to each other what you know that helps: names, dates, "
    "places. Do not guess. Once what all of you know gives the answer, write it; if you agree with an answer that was "
    "given, give the same."
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
            others = ", ".join(other for other in talk.names if other != name)
            await talk.say(name, ask=f"Write to {others}, or give the answer:")
            answer = talk.agreed()
            if answer is not None:
                return answer, "agreed"
        raise AssertionError("a cycle has no end")
