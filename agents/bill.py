"""Bill: what a conversation cost, prompts included: by agent, by message, and by direction.

Each turn sends again what was said before, so that prompts grow with every message; papers on agents' protocols count
the messages alone. What a server did not say is unknown, not zero: such a sum is a lower bound and shows it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import msgspec

from ..accounting.call import Call, is_under
from ..accounting.totals import Total
from .message import Message


class Said(msgspec.Struct, frozen=True):
    """Messages, and the tokens that were generated for what was delivered."""

    messages: int = 0
    tokens: int = 0
    unknown: int = 0
    """Messages whose tokens no server told."""

    @classmethod
    def of(cls, messages: Sequence[Message]) -> Said:
        """Sum them."""
        told = [message.tokens for message in messages if message.tokens is not None]
        return cls(len(messages), sum(told), len(messages) - len(told))

    def show(self) -> str:
        """The tokens for people: `≥` where some are unknown."""
        if not self.unknown:
            return f"{self.tokens:,}"
        return f"≥ {self.tokens:,}" if self.tokens else "unknown"


class Entry(msgspec.Struct, frozen=True):
    """One message, and the calls that made it: those of its tools and its repair too."""

    message: Message
    spent: Total


class Bill(msgspec.Struct, frozen=True):
    """What one conversation cost. Both `agents` and `messages` with `beside` add up to `total`: the ledger's."""

    total: Total = Total()
    agents: Mapping[str, Total] = {}
    """By who spoke; calls that no agent made stand under an empty name."""
    messages: tuple[Entry, ...] = ()
    """By message."""
    beside: Total = Total()
    """Calls that made no message: summaries, the choice of a format, a turn that failed, an attempt that did."""
    directions: Mapping[tuple[str, str], Said] = {}
    """By sender and reader. A message to two readers stands in two directions."""
    said: Said = Said()
    """All messages of agents: what papers count, and nothing else."""

    @classmethod
    def of(cls, calls: Sequence[Call], messages: Sequence[Message], path: str, earlier: int = 0) -> Bill:
        """The bill of the team at `path`, from all calls at and below it, and the messages it came to.

        The first `earlier` calls are those of attempts before this one, whose messages had the same numbers.
        """
        spoken = [message for message in messages if message.act != "step"]
        agents: defaultdict[str, list[Call]] = defaultdict(list)
        for call in calls:
            agents[call.agent].append(call)
        nodes = {f"{path}/{message.number}-{message.sender}": message for message in spoken}
        made: dict[int, list[Call]] = {message.number: [] for message in spoken}
        beside: list[Call] = []
        for place, call in enumerate(calls):
            turn = None
            if place >= earlier:
                turn = nodes.get(call.node) or next((nodes[node] for node in nodes if is_under(call.node, node)), None)
            (beside if turn is None else made[turn.number]).append(call)
        directions: defaultdict[tuple[str, str], list[Message]] = defaultdict(list)
        for message in spoken:
            for reader in message.to:
                directions[message.sender, reader].append(message)
        return cls(
            Total.of(calls),
            {name: Total.of(own) for name, own in agents.items()},
            tuple(Entry(message, Total.of(made[message.number])) for message in spoken),
            Total.of(beside),
            {direction: Said.of(sent) for direction, sent in directions.items()},
            Said.of(spoken),
        )

    @property
    def turns(self) -> int:
        """How many messages agents sent."""
        return self.said.messages

    def show(self) -> str:
        """The bill as a small table of text."""
        rows = [
            (f"{entry.message.id} {entry.message.sender}", *_figures(entry.spent), entry.message.act)
            for entry in self.messages
        ]
        beside = [("beside", *_figures(self.beside), "")] if self.beside.calls else []
        return "\n".join([*self.lines(), *_table(("message", *_FIGURES, ""), [*rows, *beside])])

    def lines(self) -> list[str]:
        """The bill without its messages: by agent, by direction, and all."""
        agents = [(name or "no agent", *_figures(total)) for name, total in self.agents.items()]
        ways = [
            (f"{sender} -> {reader}", f"{said.messages:,}", said.show())
            for (sender, reader), said in self.directions.items()
        ]
        avoided = f"; {self.total.replayed:,} calls were not sent, their answers were there" * bool(self.total.replayed)
        return [
            *_table(("agent", *_FIGURES), [*agents, ("all", *_figures(self.total))]),
            *_table(("direction", "messages", "tokens"), ways),
            f"{self.said.messages:,} messages with {self.said.show()} tokens beside {self.total.show('prompt')} tokens "
            f"of prompts{avoided}",
        ]


NOTHING = Bill()
_FIGURES = ("calls", "prompt", "cached", "completion")


def _figures(total: Total) -> tuple[str, ...]:
    return f"{total.calls:,}", total.show("prompt"), total.show("cache_read"), total.show("completion")


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines with columns: the first to the left, figures to the right."""
    cells = [head, *rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    lines = []
    for row in cells:
        figures = [f"{text:>{width}}" for text, width in zip(row[1:], widths[1:], strict=True)]
        lines.append("  ".join([f"{row[0]:<{widths[0]}}", *figures]).rstrip())
    return lines
