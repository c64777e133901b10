"""Result: what a run gave, what it spent, and how it went."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from ..accounting.ledger import Ledger
from ..errors import BudgetExceeded, LaconicError
from .run import NodeRecord, Run
from .template import render_tree, tree_references

if TYPE_CHECKING:
    from .executor import Execution

Status = Literal["ok", "budget", "failed"]
"""`ok`: everything ended well. `budget`: the wall was reached; what had finished is there. `failed`: a node failed."""


@dataclass
class Result:
    """What a run gave. `outputs` holds the outputs that could be made; on a failure, those that do not depend on it."""

    run: str
    status: Status
    outputs: dict[str, Any]
    values: dict[str, Any]
    """The value of every node of the flow that ended well, None where it was skipped."""
    nodes: list[NodeRecord]
    error: LaconicError | None
    seconds: float
    item: str = ""
    _everything: Ledger = field(default_factory=Ledger, repr=False)

    @cached_property
    def ledger(self) -> Ledger:
        """The calls of this run (and item), each with its owner."""
        return self._everything.select(run=self.run, **({"item": self.item} if self.item else {}))

    def raise_for_status(self) -> Result:
        """This result if it is ok; else its error is raised."""
        if self.error is not None:
            raise self.error
        return self

    def explain(self) -> str:
        """How the run went: a line a node in the order they began, with seconds, tokens, remarks and errors."""
        spent = self.ledger.by("node")
        width = max((len(record.path) for record in self.nodes), default=0)
        lines = [f"run {self.run}: {self.status}, {self.seconds:.1f} s, {self.ledger.total().show('total')} tokens"]
        for record in sorted(self.nodes, key=lambda record: record.started):
            total = spent.get(record.path)
            tokens = f"{total.show('total'):>8} tokens" if total is not None else " " * 15
            lines.append(
                f"  {record.path:<{width}}  {record.status:<9} {record.seconds:8.3f} s  {tokens}  {record.kind}"
            )
            lines += [f"  {'':<{width}}  {remark}" for remark in record.notes]
            if record.error:
                lines.append(f"  {'':<{width}}  {record.error}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        spent = self.ledger.by("node")
        rows = "".join(
            "<tr>"
            + "".join(
                f"<td style='text-align:{align}'>{html.escape(cell)}</td>"
                for align, cell in (
                    ("left", record.path),
                    ("left", record.kind),
                    ("left", record.status),
                    ("right", f"{record.seconds:.3f}"),
                    ("right", spent[record.path].show("prompt") if record.path in spent else ""),
                    ("right", spent[record.path].show("cache_read") if record.path in spent else ""),
                    ("right", spent[record.path].show("completion") if record.path in spent else ""),
                    ("left", "; ".join([*record.notes, record.error]) if record.error else "; ".join(record.notes)),
                )
            )
            + "</tr>"
            for record in sorted(self.nodes, key=lambda record: record.started)
        )
        outputs = "".join(
            f"<li><b>{html.escape(name)}</b>: {html.escape(str(value))}</li>" for name, value in self.outputs.items()
        )
        head = "".join(
            f"<th>{name}</th>"
            for name in ("node", "kind", "status", "seconds", "prompt", "of it cached", "completion", "remarks")
        )
        summary = f"run {self.run}: {self.status}, {self.seconds:.1f} s, {self.ledger.total().show('total')} tokens"
        return f"<p>{html.escape(summary)}</p><ul>{outputs}</ul><table><tr>{head}</tr>{rows}</table>"


def finished(run: Run, execution: Execution, outputs: Mapping[str, Any], ledger: Ledger) -> Result:
    """Close a run: make the outputs that can be made, and say how it ended."""
    error = execution.error or next(iter(run.walls), None)
    made: dict[str, Any] = {}
    for name, template in outputs.items():
        if all(mentioned in execution.values for mentioned in tree_references(template)):
            try:
                made[name] = render_tree(template, execution.values)
            except LaconicError as problem:
                error = error or problem
    result = Result(
        run=run.id,
        status="ok" if error is None else "budget" if isinstance(error, BudgetExceeded) else "failed",
        outputs=made,
        values=execution.values.own,
        nodes=run.records,
        error=error,
        seconds=run.clock() - run.zero,
        item=execution.item,
        _everything=ledger,
    )
    if isinstance(error, BudgetExceeded):
        error.partial = result
    return result
