"""When an item needs no further vote: the rules of early stopping, each a function of the votes so far.

`same` and `confident` are those of BatchPrompt (Lin et al. 2024, arXiv 2309.00384: its released code and its Algorithm
1): they save the most and can change the outcome. `exact` stops an item only when the remaining rounds cannot change
who wins: such an item has the winner of all its rounds, whatever the others say. Items that stay open are then asked
among fewer, and may be answered otherwise than in a full batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from .votes import WHOLE, Vote, lead

StopName = Literal["never", "same", "confident", "exact"]
Rule = Callable[[Sequence[Vote | None], int], bool]
"""From the votes so far, abstentions included, and the number of rounds that remain, to whether the item is done."""


def never(_votes: Sequence[Vote | None], _remaining: int) -> bool:
    """Every item votes in every round."""
    return False


def same(votes: Sequence[Vote | None], _remaining: int) -> bool:
    """The last two rounds gave the same answer."""
    return _twice(votes) is not None


def confident(votes: Sequence[Vote | None], _remaining: int) -> bool:
    """The last two rounds gave the same answer, and were sure of it."""
    twice = _twice(votes)
    return twice is not None and all(vote.sure for vote in twice)


def exact(votes: Sequence[Vote | None], remaining: int) -> bool:
    """Whatever the remaining rounds say, who is ahead now wins."""
    return lead(votes) > remaining * WHOLE


RULES: dict[StopName, Rule] = {"never": never, "same": same, "confident": confident, "exact": exact}


def rule_for(name: StopName, votes: int) -> StopName:
    """The rule for so many votes: with a single one, what looks at two rounds would stop nothing."""
    return "exact" if votes < 2 else name


MAY_CHANGE: frozenset[StopName] = frozenset({"same", "confident"})
"""Rules by which an item can be left over although somebody won."""


def _twice(votes: Sequence[Vote | None]) -> tuple[Vote, Vote] | None:
    """The last two votes, if both were given and agree."""
    last = votes[-2:]
    if len(last) == 2 and last[0] is not None and last[1] is not None and last[0].label == last[1].label:
        return last[0], last[1]
    return None
