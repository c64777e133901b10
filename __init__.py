"""Laconic: graphs of language-model steps for the fewest tokens that keep the answer right.

    from laconic import Flow

    flow = Flow.load("workflows/rewoo.yaml")
    result = flow.run_sync(question="...")
    result.outputs["answer"]; result.ledger.by("node")

Every public name is imported when it is first used, so that `import laconic` costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .lazy import lazily

if TYPE_CHECKING:
    from .accounting import Budget, Call, Ledger, Price, Store, Total
    from .backends import Backend, Completion, Request, Usage
    from .errors import LaconicError
    from .orchestrator import Context, Flow, ModelSpec, Node, Result, Runtime, Tool, kind, tool
    from .version import __version__

__all__ = [
    "Backend",
    "Budget",
    "Call",
    "Completion",
    "Context",
    "Flow",
    "LaconicError",
    "Ledger",
    "ModelSpec",
    "Node",
    "Price",
    "Request",
    "Result",
    "Runtime",
    "Store",
    "Tool",
    "Total",
    "Usage",
    "__version__",
    "kind",
    "tool",
]

_HOMES = {
    "accounting": ("Budget", "Call", "Ledger", "Price", "Store", "Total"),
    "backends": ("Backend", "Completion", "Request", "Usage"),
    "errors": ("LaconicError",),
    "orchestrator": ("Context", "Flow", "ModelSpec", "Node", "Result", "Runtime", "Tool", "kind", "tool"),
    "version": ("__version__",),
}

__getattr__, __dir__ = lazily(__name__, _HOMES)
