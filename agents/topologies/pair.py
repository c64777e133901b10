"""`kind: pair`: agents that know different things speak in turn until all give the same answer."""

from __future__ import annotations

from itertools import cycle

from ...orchestrator import kind
from ..conversation import Conversation
from ..ending import Ended, Reason
from ..team import Team

ROLE = (
    "Each of you knows only a part of what the answer needs. Write to each other the facts of your texts that the "
    "question is about; whoever is told a fact looks in the own texts for what they say about the one who is named in "
    "it. Write only what stands in your texts. For example, asked who painted the king who built Fort Hale, one of "
    "you finds that King Odo built Fort Hale and writes it; the other finds that Ana Rell painted King Odo and answers "
    "Ana Rell, nothing more."
)


@kind("pair")
class Pair(Team):
    """The agents speak in the order of the flow until the last message of each has the same answer."""

    def roles(self) -> dict[str, str]:
        """The same for all."""
        return {agent.name: ROLE for agent in self.agents}

    async def converse(self, talk: Conversation) -> tuple[str, Reason]:
        """Turn by turn; if it ends without an answer, the first agent is asked for it once: much is known by then."""
        try:
            for name in cycle(talk.names):
                await talk.say(name, ask=_asked(talk, name))
                answer = talk.agreed()
                if answer is not None:
                    return answer, "agreed"
        except Ended as ended:
            if ended.error is None and self.so_far(talk) is None:
                await talk.say(talk.names[0], ask=_closing(talk))
            raise
        raise AssertionError("a cycle has no end")


def _asked(talk: Conversation, name: str) -> str:
    """What an agent is asked for: to agree or to say what is wrong, if an answer was given just now."""
    others = ", ".join(other for other in talk.names if other != name)
    if not talk.now:
        return f"Write to {others} what your texts say about it, in one message. Do not answer yet:"
    if talk.left <= 1:
        return _closing(talk)
    newest = talk.now[-1]
    if newest.answer:
        return (
            f"Look in your texts whether the answer of {newest.sender} is right. If nothing in them speaks against it, "
            f"write nothing else and {talk.protocol.answering}; if something does, write what:"
        )
    return (
        f"Look in your texts for what {newest.sender} named, and write to {others} what they say about it. If that "
        f"gives the answer, {talk.protocol.answering}:"
    )


def _closing(talk: Conversation) -> str:
    return f"The conversation is over. Answer in a few words, and {talk.protocol.answering}:"
