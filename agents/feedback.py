"""Feedback: an agent agrees or objects by a single token, and says why only where it objects.

The token is read from its logprobs, or is one of the two letters where a server can be held to them; no politeness
around it can make an objection of an agreement.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import ClassVar

from ..errors import MessageError
from ..orchestrator import Context
from ..orchestrator.one_token import ask_for_one_token
from .conversation import Conversation
from .ending import Reason
from .message import Message
from .protocol import Content
from .speak import Speak, Utterance, turn

VERDICTS = ("agree", "object")
"""What A and B stand for."""
QUESTION = (
    "Is the proposed answer right, as far as you know?\nA: yes, I agree\nB: no, I object\nReply with one letter only."
)
REASON = "Say in one short sentence what is wrong. Give no answer."


class Feedback(Speak):
    """Ask an agent for A or B; the value is an `Utterance` that agrees or objects.

    If no letter can be read the agent has said nothing: it neither agrees nor objects.
    """

    kind: ClassVar[str] = "feedback"

    objecting: str = REASON
    """What it is asked for where it objects."""
    proposing: bool = False
    """Whether an objection may give another answer; if not, what it gives is a part of its reason."""

    async def utterance(self, ctx: Context) -> Utterance:
        """A call for one token, and one for the reason of an objection, whose prompt goes on from the first."""
        (reading,) = await ask_for_one_token(ctx, [self.turns], [VERDICTS], model=self.seat.model, purpose="message")
        if not reading.named:
            ctx.note(f"neither A nor B, but {reading.token!r}")
            return Utterance("", None, False, 1)
        named = [verdict for verdict in VERDICTS if verdict in reading.named]  # the other one is no likelier
        if max(named, key=lambda verdict: reading.probabilities[verdict]) == "agree":
            return Utterance(self._written(Content("I agree.")), None, True, 1, "agree", verdict=True)
        if self.most == 1:
            return self._bare(1)
        said = await self.message(
            ctx, [*self.turns, turn("assistant", "B"), turn("user", self.objecting)], self.most - 1
        )
        tokens = None if said.tokens is None else said.tokens + 1
        if not said.text:
            return self._bare(tokens)
        if self.proposing or not said.understood:
            return Utterance(said.text, said.answer, said.understood, tokens, "object")
        content = self.protocol.parse(said.text)
        return self._objection(Content(content.text or content.answer or ""), tokens)

    def _bare(self, tokens: int | None) -> Utterance:
        """An objection without a reason."""
        return Utterance(self._written(Content("I object.")), None, True, tokens, "object", verdict=True)

    def _objection(self, content: Content, tokens: int | None) -> Utterance:
        return Utterance(self._written(content), content.answer, True, tokens, "object")

    def _written(self, content: Content) -> str:
        """The message in its form, or in plain words where the form cannot carry them: they are the engine's own."""
        try:
            return self.protocol.encode(content)
        except MessageError:
            return content.text


async def feedback(
    talk: Conversation,
    names: Sequence[str],
    *,
    to: Sequence[str] = (),
    question: str = QUESTION,
    objecting: str = REASON,
    proposing: bool = False,
) -> list[Message]:
    """Ask several agents at once whether they agree with what stands; see `Feedback`. Raises Ended."""
    node = partial(Feedback, objecting=objecting, proposing=proposing)
    return await talk.say_at_once(dict.fromkeys(names, question), to=to, turn=node)


def accepted(said: Sequence[Message]) -> Reason | None:
    """What feedback makes of a proposal: `agreed` if all agree, `decided` if nobody objects, None if somebody does."""
    if any(message.act == "object" for message in said):
        return None
    return "agreed" if all(message.act == "agree" for message in said) else "decided"
