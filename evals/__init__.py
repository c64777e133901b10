"""Measuring: data sets, metrics, intervals, and flows compared on the same questions, tokens beside accuracy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import lazily

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

__getattr__, __dir__ = lazily(__name__, _HOMES)
