"""Summary: what was said, in few words, for `sees: summary`.

It is made by a call of its own with the purpose `summary`, booked under the agent that is about to read it. Others that
heard just the same messages read it too. It is renewed only when the messages that are not in it exceed some tokens,
from the old summary and those messages: nothing is summarised twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ..orchestrator import Context
from ..tools.calling import CHARACTERS_PER_TOKEN
from .agent import Seat
from .message import Message
from .references import Shown

MOST = 200
"""Most tokens of a summary."""
PURPOSE = "summary"
TOLD = (
    "Summarize a conversation for those who take part in it and will not see it again. Keep who said what, names, "
    "numbers, open questions and every proposed answer exactly; leave out all else. Write only the summary."
)


@dataclass(frozen=True)
class Summary:
    """What the first messages that some agents heard came to."""

    numbers: tuple[int, ...]
    """The messages that are in it."""
    message: Message
    """Its text. It has no number, and its sender is nobody."""

    def holds_first_of(self, heard: Sequence[Message]) -> bool:
        """Whether it holds just the first of these messages: whoever heard them may read it."""
        return tuple(message.number for message in heard[: len(self.numbers)]) == self.numbers


NOTHING = Summary((), Message(number=0, sender="", to=(), text=""))


@dataclass
class Summaries:
    """The summaries of one conversation."""

    above: int = 300
    """Tokens of messages that are not in a summary above which it is renewed; the last never is in it."""
    made: list[Summary] = field(default_factory=lambda: [NOTHING])

    def of(self, heard: Sequence[Message]) -> list[Message]:
        """What stands for these messages: the newest summary of them, if there is any, and those not in it."""
        summary = self._newest(heard)
        head = [summary.message] if summary.numbers else []
        return [*head, *heard[len(summary.numbers) :]]

    def due(self, heard: Sequence[Message]) -> list[Message]:
        """What is to be summarised now: an older summary and the messages behind it; empty if nothing is."""
        new = heard[len(self._newest(heard).numbers) :]
        return self.of(heard)[:-1] if len(new) > 1 and sum(map(_tokens, new)) > self.above else []

    async def renew(self, ctx: Context, seat: Seat, heard: Sequence[Message], due: Shown) -> None:
        """Summarise all but the last of the messages that `seat` heard. A model that says nothing leaves things as
        they are. Raises BackendError, BudgetExceeded.
        """
        shown = [part for passage in due.passages for part in (*passage.put_back, passage.show())]
        said = await ctx.complete(
            [{"role": "system", "content": TOLD}, {"role": "user", "content": "\n".join([*shown, "The summary:"])}],
            model=seat.model,
            purpose=PURPOSE,
            max_tokens=MOST,
            agent=seat.name,
        )
        if said.text.strip():
            text = Message(number=0, sender="", to=(), text=said.text.strip(), known=due.known)
            self.made.append(Summary(tuple(message.number for message in heard[:-1]), text))

    def _newest(self, heard: Sequence[Message]) -> Summary:
        return max((one for one in self.made if one.holds_first_of(heard)), key=lambda one: len(one.numbers))


def _tokens(message: Message) -> int:
    """About how many tokens a message takes in a prompt."""
    return len(message.text) // CHARACTERS_PER_TOKEN if message.tokens is None else message.tokens
