"""Laconic: graphs of language-model steps for the fewest tokens that keep the answer right.

    from laconic import Flow

    flow = Flow.load("workflows/rewoo.yaml")
    result = flow.run_sync(question="...")
    result.outputs["answer"]; result.ledger.by("node")

Every public name is imported when it is first used, so that `import laconic` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

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
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'laconic' has no attribute {name!r}")
    value = getattr(import_module(f".{_HOME_OF[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
