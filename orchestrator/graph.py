"""Graph: nodes and the edges read from their templates, checked once and run many times.

A graph holds no state of a run. Edges point from a node to the nodes that mention it.
"""

from __future__ import annotations

from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter

from ..errors import FlowError
from .node import Node
from .registry import nearest


class Graph:
    """Nodes by number: `successors[i]` wait for node i, which itself waits for `indegree[i]` nodes."""

    __slots__ = ("indegree", "names", "nodes", "plain", "predecessors", "successors")

    def __init__(self, nodes: Mapping[str, Node], outside: frozenset[str]) -> None:
        """Read the edges. `outside` are the names that are there already (inputs, enclosing nodes).

        Raises FlowError for a name that nobody has and for a cycle.
        """
        numbers = {name: number for number, name in enumerate(nodes)}
        predecessors: list[tuple[int, ...]] = []
        for name, node in nodes.items():
            mentioned = node.references()
            unknown = [other for other in mentioned if other not in numbers and other not in outside]
            if unknown:
                wrong = min(unknown)
                hint = nearest(wrong, sorted({*numbers, *outside} - {name}))
                raise FlowError(
                    f"the node {name!r} mentions {wrong!r}, which is neither a node nor an input{hint}",
                    at=("nodes", name),
                )
            predecessors.append(tuple(sorted(numbers[other] for other in mentioned if other in numbers)))
        successors: list[list[int]] = [[] for _ in numbers]
        for number, before in enumerate(predecessors):
            for other in before:
                successors[other].append(number)
        self.names = tuple(nodes)
        self.nodes = tuple(nodes.values())
        self.plain = tuple(node.plain for node in self.nodes)
        self.predecessors = tuple(predecessors)
        self.successors = tuple(tuple(after) for after in successors)
        self.indegree = tuple(len(before) for before in predecessors)
        self._refuse_cycles()

    def _refuse_cycles(self) -> None:
        try:
            TopologicalSorter(dict(enumerate(self.predecessors))).prepare()
        except CycleError as error:
            circle = [self.names[number] for number in reversed(error.args[1])]
            raise FlowError(
                f"the nodes wait for each other in a circle: {' -> '.join(circle)}", at=("nodes", circle[0])
            ) from error

    def edges(self) -> list[tuple[str, str]]:
        """Pairs (node, node that mentions it), in the order written."""
        return [(self.names[i], self.names[j]) for i, after in enumerate(self.successors) for j in after]
