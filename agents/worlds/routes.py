"""Routes: one step of many robots towards their aims, so that none runs into another.

Priority inheritance with backtracking (Okumura et al. 2022, arXiv 1901.11282): whoever stands in the way of a robot
that goes first moves away with its priority, or else that robot looks for another way. Where every two neighbouring
cells lie on a circle, the first in order always comes nearer to its aim.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from .grid import Cell


def moved_together(
    cells: Sequence[Cell],
    aims: Mapping[int, Cell],
    fixed: Collection[int],
    *,
    beside: Callable[[Cell], list[Cell]],
    apart: Callable[[Cell, Cell], int],
) -> list[Cell]:
    """Where each robot should be after one step; those in `fixed` stay, those without an aim move only to make way.

    `cells`: where they are. `apart`: steps from a cell to an aim.
    """
    then: dict[int, Cell] = {robot: cells[robot] for robot in fixed}
    here = {cell: robot for robot, cell in enumerate(cells)}

    def move(robot: int, away_from: Cell | None) -> bool:
        """Find the robot a cell, not the one it makes way for; False if it has to stay."""
        own = cells[robot]
        aim = aims.get(robot, own)
        for cell in sorted([own, *beside(own)], key=lambda cell: (apart(cell, aim), cell)):
            if cell == away_from or cell in then.values():
                continue
            then[robot] = cell
            other = here.get(cell)
            if other is None or other in then or move(other, own):
                return True
        then[robot] = own
        return False

    def order(robot: int) -> tuple[bool, int, int]:
        return robot not in aims, apart(cells[robot], aims.get(robot, cells[robot])), robot

    for robot in sorted(range(len(cells)), key=order):
        if robot not in then:
            move(robot, None)
    return [then[robot] for robot in range(len(cells))]
