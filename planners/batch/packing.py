"""Packing: which items are asked together, so that instruction, items and answers fit."""

from __future__ import annotations

from collections.abc import Sequence


def packed(sizes: Sequence[int], most: int, room: int | None) -> list[list[int]]:
    """The numbers of the items, in order, in batches of at most `most` and of at most `room` tokens.

    `sizes`: what each item takes, its answer included; `room`: what is left beside the instruction, None for no limit.
    Each item is in exactly one batch. One that is larger than the room is in a batch of its own.
    """
    batches: list[list[int]] = []
    taken = 0
    for number, size in enumerate(sizes):
        full = not batches or len(batches[-1]) >= most or (room is not None and taken + size > room)
        if full:
            batches.append([])
            taken = 0
        batches[-1].append(number)
        taken += size
    return batches


def halves(items: Sequence[int]) -> list[list[int]]:
    """Two parts of a batch that did not work out, the first no smaller than the second."""
    middle = (len(items) + 1) // 2
    return [list(part) for part in (items[:middle], items[middle:]) if part]
