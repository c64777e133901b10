"""Measuring: data sets, metrics, intervals, and flows compared on the same questions, tokens beside accuracy."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .comparison import Comparison, compare
    from .contestant import Contestant, contestants
    from .data import Data, Item, Problem, read_items
    from .figures import FlowFigures, Versus, summarise
    from .metrics import best_scores, exact_match, normalise, token_f1
    from .rows import Row, read_rows
    from .statistics import Interval, bootstrap, wilson

__all__ = [
    "Comparison",
    "Contestant",
    "Data",
    "FlowFigures",
    "Interval",
    "Item",
    "Problem",
    "Row",
    "Versus",
    "best_scores",
    "bootstrap",
    "compare",
    "contestants",
    "exact_match",
    "normalise",
    "read_items",
    "read_rows",
    "summarise",
    "token_f1",
    "wilson",
]

_HOMES = {
    "comparison": ("Comparison", "compare"),
    "contestant": ("Contestant", "contestants"),
    "data": ("Data", "Item", "Problem", "read_items"),
    "figures": ("FlowFigures", "Versus", "summarise"),
    "metrics": ("best_scores", "exact_match", "normalise", "token_f1"),
    "rows": ("Row", "read_rows"),
    "statistics": ("Interval", "bootstrap", "wilson"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_HOME_OF[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
