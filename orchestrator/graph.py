"""Graph: nodes and the edges read from their templates, checked once and run many times.

A graph holds no state of a run. Edges point from a node to the nodes that mention it. A node that another one holds
(`Node.holds`) is started by that one alone, which waits for what the held node mentions.
"""

from __future__ import annotations

from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter

from ..errors import FlowError
from .node import Node
from .registry import nearest


class Graph:
    """Nodes by number: `successors[i]` wait for node i, which waits for `indegree[i]` nodes itself; -1: it is held."""

    __slots__ = ("held", "indegree", "names", "nodes", "plain", "predecessors", "successors")

    def __init__(self, nodes: Mapping[str, Node], outside: frozenset[str]) -> None:
        """Read the edges. `outside` are the names that are there already (inputs, enclosing nodes).

        Raises FlowError for a name that nobody has and for a cycle.
        """
        numbers = {name: number for number, name in enumerate(nodes)}
        self.held = frozenset(numbers[name] for holder in nodes.values() for name in holder.holds() if name in numbers)
        """Numbers of the nodes that others hold."""
        predecessors: list[tuple[int, ...]] = []
        for name, node in nodes.items():
            mentioned = _mentioned(node, nodes)
            if numbers[name] in self.held:
                mentioned -= {"item", "index"}  # its holder may run for each of a list
            unknown = [other for other in mentioned if other not in numbers and other not in outside]
            if unknown:
                wrong = min(unknown)
                hint = nearest(wrong, sorted({*numbers, *outside} - {name}))
                raise FlowError(
                    f"the node {name!r} mentions {wrong!r}, which is neither a node nor an input{hint}",
                    at=("nodes", name),
                )
            held = next((other for other in mentioned if numbers.get(other) in self.held), None)
            if held is not None:
                holder = next(other for other, holding in nodes.items() if held in holding.holds())
                raise FlowError(
                    f"the node {name!r} mentions {held!r}, which {holder!r} runs or does not run; mention {holder!r}",
                    at=("nodes", name),
                )
            predecessors.append(tuple(sorted(numbers[other] for other in mentioned if other in numbers)))
        successors: list[list[int]] = [[] for _ in numbers]
        for number, before in enumerate(predecessors):
            if number not in self.held:
                for other in before:
                    successors[other].append(number)
        self.names = tuple(nodes)
        self.nodes = tuple(nodes.values())
        self.plain = tuple(node.plain for node in self.nodes)
        self.predecessors = tuple(predecessors)
        self.successors = tuple(tuple(after) for after in successors)
        self.indegree = tuple(-1 if number in self.held else len(before) for number, before in enumerate(predecessors))
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


def _mentioned(node: Node, nodes: Mapping[str, Node], within: frozenset[str] = frozenset()) -> frozenset[str]:
    """What a node mentions, itself and through the nodes it holds. Raises FlowError for one that holds itself."""
    mentioned = node.references()
    for name in node.holds():
        if name in within:
            raise FlowError(f"the node {name!r} would run itself", at=("nodes", name))
        if name in nodes:
            below = _mentioned(nodes[name], nodes, within | {name})
            mentioned |= below - {"item", "index"} if node.for_each is not None else below
    return mentioned
