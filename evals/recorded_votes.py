"""Votes that were recorded, replayed: how right they are, and how many calls they take, under each rule of stopping.

The votes are those of whole batches, recorded in every round. A rule that stops items makes later batches smaller,
which may change what a model says; a replay cannot show that, only what the rule makes of the same votes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from ..errors import InputError
from ..planners.batch.stopping import RULES, StopName
from ..planners.batch.votes import Vote, favourite, winner
from .statistics import Interval, wilson


class Recorded(msgspec.Struct, frozen=True):
    """One item: the right label, what the rounds said, and the item's own prompt tokens."""

    gt_label: int | None = None
    gpt_voting: list[int] = []
    """One vote fewer than there were rounds where a reply had none for the item."""
    num_token: int = 0


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """What comes of the recorded votes with at most `rounds` of them, under one rule."""

    rule: StopName
    rounds: int
    items: int
    right: int
    ties: int
    """Items that no label won; the label that was named first counts."""
    changed: int
    """Items whose label is not that of all `rounds` votes."""
    calls: int
    """Batches asked, in all rounds."""
    questions: int
    """Items asked, in all rounds."""
    tokens: int
    """Prompt tokens of these items, without instructions."""

    @property
    def accuracy(self) -> float:
        """Share of the items whose winner is right."""
        return self.right / self.items

    @property
    def interval(self) -> Interval:
        """Of the accuracy, 95 %."""
        return wilson(self.right, self.items)


def read_recorded(path: str | Path) -> list[Recorded]:
    """A file of recorded votes: a JSON list of `gt_label`, `gpt_voting` and `num_token`; empty entries are left out.

    Raises InputError for a file that cannot be read or holds something else.
    """
    try:
        found = msgspec.json.decode(Path(path).read_bytes(), type=list[Recorded])
    except OSError as error:
        raise InputError(f"the recorded votes {str(path)!r} cannot be read: {error.strerror}") from error
    except msgspec.DecodeError as error:
        raise InputError(f"{str(path)!r} holds no recorded votes: {error}") from error
    voted = [item for item in found if item.gt_label is not None and item.gpt_voting]
    if not voted:
        raise InputError(f"{str(path)!r} holds no item with a label and votes")
    return voted


def replay(items: Sequence[Recorded], *, rule: StopName, rounds: int, batch_size: int) -> Replayed:
    """Replay the first `rounds` votes of the items, which were asked in batches of `batch_size`, in their order."""
    votes = [_votes(item.gpt_voting, rounds) for item in items]
    used = [_used(of_item, rule) for of_item in votes]
    stopped = [of_item[:number] for of_item, number in zip(votes, used, strict=True)]
    labels = list(map(favourite, stopped))
    batches = [used[start : start + batch_size] for start in range(0, len(used), batch_size)]
    return Replayed(
        rule=rule,
        rounds=rounds,
        items=len(items),
        right=sum(label == str(item.gt_label) for label, item in zip(labels, items, strict=True)),
        ties=sum(winner(of_item) is None for of_item in stopped),
        changed=sum(label != favourite(of_item) for label, of_item in zip(labels, votes, strict=True)),
        calls=sum(map(max, batches)),
        questions=sum(used),
        tokens=sum(number * item.num_token for number, item in zip(used, items, strict=True)),
    )


def replays(items: Sequence[Recorded], batch_size: int) -> Iterator[Replayed]:
    """Every odd number of votes under every rule; a rule that looks at two votes has nothing to stop with one."""
    for rounds in range(1, max(len(item.gpt_voting) for item in items) + 1, 2):
        for rule in ("never", "exact", "same") if rounds > 1 else ("never",):
            yield replay(items, rule=rule, rounds=rounds, batch_size=batch_size)


def _votes(said: Sequence[int], rounds: int) -> list[Vote | None]:
    """The first `rounds` votes; those that are missing are taken for abstentions in the last rounds."""
    given = [Vote(str(label)) for label in said[:rounds]]
    return [*given, *[None] * (rounds - len(given))]


def _used(votes: Sequence[Vote | None], rule: StopName) -> int:
    """After how many of the votes an item stops."""
    for number in range(1, len(votes)):
        if RULES[rule](votes[:number], len(votes) - number):
            return number
    return len(votes)
