"""Grid: cells, called by the letter of their row and the number of their column, and the ways between neighbours."""

from __future__ import annotations

import re
from collections.abc import Iterator

Cell = tuple[int, int]
"""Row and column, from 0."""

WAYS = {"north": (-1, 0), "east": (0, 1), "south": (1, 0), "west": (0, -1)}
CELL = r"[a-z]\d+"
"""The name of a cell, as a regular expression."""


def called(cell: Cell) -> str:
    """The name of a cell: a1 is in the north-west."""
    return f"{'abcdefghijklmnopqrstuvwxyz'[cell[0]]}{cell[1] + 1}"


def cell_called(name: str) -> Cell:
    """The cell of that name. Raises ValueError."""
    if re.fullmatch(CELL, name) is None:
        raise ValueError(f"{name!r} names no cell")
    return ord(name[0]) - ord("a"), int(name[1:]) - 1


def beside(cell: Cell, rows: int, columns: int) -> Iterator[tuple[str, Cell]]:
    """The neighbours of a cell by the way to them."""
    for way, (down, right) in WAYS.items():
        row, column = cell[0] + down, cell[1] + right
        if 0 <= row < rows and 0 <= column < columns:
            yield way, (row, column)


def apart(one: Cell, other: Cell) -> int:
    """Steps between two cells on a free grid."""
    return abs(one[0] - other[0]) + abs(one[1] - other[1])
