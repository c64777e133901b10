"""Outcome: from votes to an item's answer, or to the reason why it has none."""

from __future__ import annotations

from ...errors import BackendError
from .answers import Detail
from .room import Room
from .rounds import Round, Standing
from .votes import tally, winner


def outcome(item: int, standing: Standing, alone: Round, room: Room) -> Detail:
    """How `item` comes to its answer: the prompt of its own if there was one that helped, else its batch's votes."""
    votes = standing.votes.get(item, [])
    sums = {label: float(weight) for label, weight in tally(votes).items()}
    single = alone.votes.get(item)
    rounds = len(votes) + (item in alone.votes)
    if single is not None:
        return Detail(answer=single.label, by="single", votes=sums, rounds=rounds)
    won = winner(votes)
    if won is not None:
        return Detail(answer=won, by="batch", votes=sums, rounds=rounds)
    if sums:
        return Detail(
            answer=max(sums, key=lambda label: sums[label]), by="batch", votes=sums, rounds=rounds, why="a tie"
        )
    refused = alone.refused.get(item) or standing.refused.get(item)
    return Detail(answer=None, by="nobody", rounds=rounds, why=_why(rounds, refused, item, room))


def _why(rounds: int, refused: BackendError | None, item: int, room: Room) -> str:
    if refused is not None:
        return f"the server refused it: {refused}"
    if rounds:
        return "the model gave no answer that can be used"
    if item in room.too_large:
        return "it does not fit in the model's context"
    return "the budget ended before it was asked"
