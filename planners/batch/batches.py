"""Batches: the nodes that ask about all items of a list, as many at once as there is room for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .choice import Way
from .packing import packed
from .progress import Progress
from .room import Room
from .rounds import BatchRounds
from .stopping import StopName
from .task import Task
from .votes import Vote


def in_batches(
    texts: Mapping[int, str],
    room: Room,
    way: Way,
    *,
    task: Task,
    model: str,
    stop: StopName,
    seed: int,
    purpose: str,
    prefix: str = "",
    first: int = 1,
    votes: Mapping[int, Sequence[Vote | None]] | None = None,
    progress: Progress | None = None,
) -> dict[str, BatchRounds]:
    """`batch-1`, `batch-2`, ... of the items in their order, with round `first` up to the last; what does not fit in
    the context is in none. `votes`: those of the rounds before.
    """
    fitting = [item for item in texts if item not in room.too_large]
    batches = packed([room.sizes[item] for item in fitting], way.size, room.context)
    return {
        f"{prefix}batch-{number}": BatchRounds(
            task=task,
            texts={fitting[place]: texts[fitting[place]] for place in batch},
            model=model,
            first=first,
            last=way.votes,
            stop=stop,
            seed=f"{seed}/{number}",
            votes={} if votes is None else {fitting[place]: list(votes.get(fitting[place], ())) for place in batch},
            purpose=purpose,
            instruction=room.instruction,
            progress=progress,
        )
        for number, batch in enumerate(batches, start=1)
    }
