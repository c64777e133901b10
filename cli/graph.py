"""`laconic graph`: the graph of a flow, as text, as Mermaid, as a picture."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import InputError, LaconicError
from ..orchestrator import Flow, Node
from ..orchestrator.part import RoleMark, ToolMark, marked
from ..orchestrator.template import tree_references


def graph(
    flow: Annotated[Path, typer.Argument(metavar="FLOW", help="A flow file.")],
    mermaid: Annotated[bool, typer.Option("--mermaid", help="Print Mermaid text.")] = False,
    png: Annotated[Path | None, typer.Option("--png", metavar="FILE", help="Draw a picture.")] = None,
) -> None:
    """Show what a flow's nodes wait for. A planner's own steps come only when it runs."""
    loaded = Flow.load(flow)
    if png is not None:
        _draw(loaded, png)
    elif mermaid:
        sys.stdout.write(as_mermaid(loaded))
    else:
        sys.stdout.write(as_tree(loaded))


def as_tree(flow: Flow) -> str:
    """Each node below the last of those it waits for, with the others named beside it."""
    flow_graph = flow.graph
    inputs = ", ".join(f"{name}: {spec.type}" for name, spec in flow.inputs.items()) or "none"
    lines = [flow.name, f"inputs: {inputs}"]
    level = _levels(flow)
    # A node hangs below the deepest node it mentions: the one that is ready last, as far as can be said beforehand.
    above = [max(before, key=lambda i: (level[i], i)) if before else -1 for before in flow_graph.predecessors]

    def hang(parent: int, indent: str) -> None:
        children = [i for i, over in enumerate(above) if over == parent]
        for place, number in enumerate(children):
            last = place == len(children) - 1
            others = [flow_graph.names[i] for i in flow_graph.predecessors[number] if i != parent]
            also = f"  (also waits for {', '.join(others)})" if others else ""
            holders = [name for name, other in flow.nodes.items() if flow_graph.names[number] in other.holds()]
            if holders:
                also += f"  (if {' or '.join(holders)} chooses it)"
            node = flow_graph.nodes[number]
            lines.append(f"{indent}{'└── ' if last else '├── '}{flow_graph.names[number]}  {describe(node)}{also}")
            hang(number, indent + ("    " if last else "│   "))

    hang(-1, "")
    for name, template in flow.outputs.items():
        lines.append(f"output {name} <- {', '.join(sorted(tree_references(template))) or 'a constant'}")
    return "\n".join(lines) + "\n"


def describe(node: Node) -> str:
    """Kind, models and tools of a node."""
    words = [node.kind]
    for mark in (RoleMark, ToolMark):
        for field in marked(type(node), mark):
            value = getattr(node, field)
            if value:
                words.append(f"{field}={value if isinstance(value, str) else ','.join(value)}")
    if node.for_each is not None:
        words.append("for each")
    if node.when is not None:
        words.append("conditional")
    return " ".join(words)


def as_mermaid(flow: Flow) -> str:
    """A Mermaid flowchart: inputs, nodes, outputs."""
    lines = ["flowchart LR"]
    lines += [f'  in_{name}(["{_quoted(name)}"])' for name in flow.inputs]
    lines += [f'  n_{name}["{_quoted(name)}<br/>{_quoted(describe(node))}"]' for name, node in flow.nodes.items()]
    lines += [f'  out_{i}(["{_quoted(name)}"])' for i, name in enumerate(flow.outputs)]
    lines += [f"  {before} --> {after}" for before, after in _edges(flow)]
    lines += [f"  n_{held} -.-> n_{holder}" for held, holder in _held(flow)]
    return "\n".join(lines) + "\n"


def _edges(flow: Flow) -> list[tuple[str, str]]:
    def source(name: str) -> str:
        return f"n_{name}" if name in flow.nodes else f"in_{name}"

    edges = [(source(name), f"n_{node}") for node, spec in flow.nodes.items() for name in sorted(spec.references())]
    edges += [
        (source(name), f"out_{i}")
        for i, template in enumerate(flow.outputs.values())
        for name in sorted(tree_references(template))
    ]
    return edges


def _held(flow: Flow) -> list[tuple[str, str]]:
    """Pairs (node, node that runs it if it chooses to)."""
    return [(name, holder) for holder, node in flow.nodes.items() for name in node.holds() if name in flow.nodes]


def _quoted(text: str) -> str:
    return re.sub(r"[^\w .,:=/-]", lambda match: f"#{ord(match[0])};", text)


def _levels(flow: Flow) -> Sequence[int]:
    """For each node, the length of the longest way to it."""
    levels = [0] * len(flow.graph.nodes)
    waiting = list(flow.graph.indegree)
    ready = [i for i, count in enumerate(waiting) if count == 0]
    for number in ready:
        for after in flow.graph.successors[number]:
            levels[after] = max(levels[after], levels[number] + 1)
            waiting[after] -= 1
            if waiting[after] == 0:
                ready.append(after)
    for number in flow.graph.held:
        levels[number] = max((levels[before] + 1 for before in flow.graph.predecessors[number]), default=0)
    for held, holder in _held(flow):
        place = flow.graph.names.index(holder)
        levels[place] = max(levels[place], levels[flow.graph.names.index(held)] + 1)
    return levels


def _draw(flow: Flow, path: Path) -> None:
    try:
        import matplotlib as mpl
        import networkx as nx

        mpl.use("Agg")
        from matplotlib import pyplot as plt
    except ImportError as error:
        raise LaconicError(
            f'a picture needs {error.name}, which is not installed: pip install "laconic[graph]", or use --mermaid'
        ) from error
    drawn: Any = nx.DiGraph()
    levels = _levels(flow)
    depth = max(levels, default=0)
    for name in flow.inputs:
        drawn.add_node(f"in_{name}", label=name, level=0, colour="#dddddd")
    for number, (name, node) in enumerate(flow.nodes.items()):
        drawn.add_node(f"n_{name}", label=f"{name}\n{node.kind}", level=levels[number] + 1, colour="#9ecae1")
    for i, name in enumerate(flow.outputs):
        drawn.add_node(f"out_{i}", label=name, level=depth + 2, colour="#a1d99b")
    drawn.add_edges_from(_edges(flow))
    drawn.add_edges_from((f"n_{held}", f"n_{holder}") for held, holder in _held(flow))
    widest = max((len(list(group)) for group in _by_level(drawn).values()), default=1)
    figure = plt.figure(figsize=(2.4 * (depth + 3), 1.2 * (widest + 1)))
    nx.draw_networkx(
        drawn,
        nx.multipartite_layout(drawn, subset_key="level"),
        labels=dict(drawn.nodes("label")),
        node_color=[colour for _, colour in drawn.nodes("colour")],
        node_size=3000,
        font_size=8,
    )
    plt.axis("off")
    try:
        figure.savefig(path, dpi=150, bbox_inches="tight")
    except (OSError, ValueError) as error:
        raise InputError(f"the picture cannot be written to {str(path)!r}: {error}") from error
    finally:
        plt.close(figure)


def _by_level(drawn: Any) -> dict[int, list[str]]:
    levels: dict[int, list[str]] = {}
    for name, level in drawn.nodes("level"):
        levels.setdefault(level, []).append(name)
    return levels
