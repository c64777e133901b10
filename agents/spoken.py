"""Spoken: what a conversation came to, with how it went."""

from __future__ import annotations

from collections.abc import Sequence

from .bill import NOTHING, Bill
from .ending import Reason
from .message import Message


class Spoken(str):
    """The answer of a team. In a template `{{ team }}` is the answer, `{{ team.ended }}` why the conversation ended."""

    messages: tuple[Message, ...]
    ended: Reason
    agreed: bool
    """Whether all who were asked gave this answer, or agreed to it."""
    bill: Bill
    """What it cost: by agent, by message, by direction."""

    def __new__(cls, answer: str, messages: Sequence[Message], ended: Reason, bill: Bill = NOTHING) -> Spoken:
        """An answer with the conversation that it came from."""
        spoken = super().__new__(cls, answer)
        spoken.messages = tuple(messages)
        spoken.ended = ended
        spoken.bill = bill
        spoken.agreed = ended == "agreed"
        return spoken

    def __reduce__(self) -> tuple[type[Spoken], tuple[str, Sequence[Message], Reason, Bill]]:
        """What a copy is made of."""
        return type(self), (str(self), self.messages, self.ended, self.bill)

    @property
    def turns(self) -> int:
        """How many messages agents sent."""
        return sum(message.act != "step" for message in self.messages)

    @property
    def message_tokens(self) -> int:
        """Tokens of the messages, as far as servers said: what papers on agents' protocols count, and nothing else."""
        return sum(message.tokens or 0 for message in self.messages)
