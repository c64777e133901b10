"""Labelling: the flow whose answers are labelled for a router of tokens, and what has come together in the folder."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from ..errors import FlowError
from ..orchestrator import Flow
from ..orchestrator.node import Node
from ..orchestrator.registry import nearest
from ..routers.token_judges import Judge
from ..routers.token_labels import TokenLabels
from ..routers.token_route import TokenRoute
from .over_items import ItemResult
from .progress import Progress
from .session import Session


@dataclass(frozen=True)
class Labelling:
    """The options that say how tokens are labelled, and where."""

    folder: Path
    judge: Judge
    most: int
    sentence_tokens: int
    seed: int

    def flow_for(self, flow: Flow, name: str) -> Flow:
        """The same flow with a `token_labels` in place of its `token_route`, nothing that comes after it, and no
        budget, which is that of an answer.

        Raises FlowError for a flow that has no such node, or several and no `name`.
        """
        found = {name: node for name, node in flow.nodes.items() if isinstance(node, TokenRoute)}
        if name and name not in found:
            raise FlowError(f"the flow {flow.name!r} has no `token_route` {name!r}{nearest(name, list(found))}")
        if not name and len(found) != 1:
            has = f"several ({', '.join(found)}): name one with --node" if found else "none"
            raise FlowError(f"tokens are labelled as a `kind: token_route` asks for them; {flow.name!r} has {has}")
        name = name or next(iter(found))
        route = found[name]
        labels = TokenLabels(
            prompt=route.prompt,
            system=route.system,
            small=route.small,
            large=route.large,
            folder=self.folder.resolve(),
            judge=self.judge,
            most=self.most,
            sentence_tokens=self.sentence_tokens,
            seed=self.seed,
            max_tokens=route.max_tokens,
        )
        nodes: dict[str, Node] = {before: flow.nodes[before] for before in _before(flow, name)}
        return Flow(
            name=flow.name,
            inputs=flow.inputs,
            models=flow.models,
            tools=flow.tools,
            nodes={**nodes, name: labels},
            outputs={"labels": f"{{{{ {name} }}}}"},
            base=flow.base,
        )

    def table(self) -> tuple[list[str], list[list[str]]]:
        """How many tokens in the folder have each label."""
        from ..backends.transformers.labels import NAMES, count_labels

        counts: Counter[str] = Counter()
        files = list(self.folder.glob("*.labels"))
        for file in files:
            counts.update(count_labels(file))
        whole = max(1, counts.total())
        rows = [[name, f"{counts[name]:,}", f"{counts[name] / whole:.1%}"] for name in NAMES]
        return [f"{len(files):,} questions", "tokens", "share"], rows


class LabelSession(Session):
    """Runs a labelling: what comes of a question is in the folder, and not given out."""

    def _hand_out(self, result: ItemResult, display: Progress, as_json: bool) -> None:
        pass


def _before(flow: Flow, name: str) -> list[str]:
    """The nodes that a node waits for, directly or not, and those that these hold."""
    wanted, found = [name], set[str]()
    while wanted:
        node = flow.nodes[wanted.pop()]
        for other in (node.references() | set(node.holds())) & flow.nodes.keys():
            if other not in found:
                found.add(other)
                wanted.append(other)
    return [other for other in flow.nodes if other in found]
