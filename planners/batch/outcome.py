"""Outcome: from votes to an item's answer, or to the reason why it has none."""

from __future__ import annotations

from collections.abc import Iterable

from ...errors import BackendError
from .answers import Detail
from .room import Room
from .rounds import Round, Standing
from .stopping import MAY_CHANGE, StopName
from .votes import favourite, tally, winner

NOTHING = Round({})


def left_over(items: Iterable[int], standing: Standing, stop: StopName, last: str | None) -> list[int]:
    """The items that are asked once more, each by itself, by the model in the role `last` if there is one.

    Without one, these are the items for which no label has won, less those that were asked by themselves already.
    """
    undecided = standing.undecided if last is not None and stop in MAY_CHANGE else ()
    asked_alone = {asked[0] for asked in standing.asked.values() if len(asked) == 1} if last is None else set()
    return [
        item
        for item in items
        if item in undecided or (winner(standing.votes.get(item, ())) is None and item not in asked_alone)
    ]


def outcome(item: int, standing: Standing, alone: Round, room: Room, sample: Round = NOTHING) -> Detail:
    """How `item` comes to its answer: the prompt of its own if there was one that helped, else its batch's votes.

    `sample`: what the items were answered that were asked singly to find the size of batches.
    """
    votes = standing.votes.get(item, [])
    sums = {label: float(weight) for label, weight in tally(votes).items()}
    single, calibrating = alone.votes.get(item), sample.votes.get(item)
    rounds = len(votes) + (item in alone.votes) + (item in sample.votes)
    if calibrating is not None:
        return Detail(
            answer=calibrating.label, by="calibration", votes={calibrating.label: calibrating.weight}, rounds=rounds
        )
    if single is not None:
        return Detail(answer=single.label, by="single", votes=sums, rounds=rounds)
    won = winner(votes)
    if won is not None:
        return Detail(answer=won, by="batch", votes=sums, rounds=rounds)
    if sums:
        return Detail(answer=favourite(votes), by="batch", votes=sums, rounds=rounds, why="a tie")
    refused = alone.refused.get(item) or standing.refused.get(item) or sample.refused.get(item)
    cut = alone.ended_by is not None and item not in alone.votes
    return Detail(answer=None, by="nobody", rounds=rounds, why=_why(rounds, refused, item, room, cut))


def _why(rounds: int, refused: BackendError | None, item: int, room: Room, cut: bool) -> str:
    if refused is not None:
        return f"the server refused it: {refused}"
    if rounds and cut:
        return "the budget ended before it was asked by itself"
    if rounds:
        return "the model gave no answer that can be used"
    if item in room.too_large:
        return "it does not fit in the model's context"
    return "the budget ended before it was asked"
