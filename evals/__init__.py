"""Measuring: data sets, metrics, intervals, and flows compared on the same questions, tokens beside accuracy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import lazily

if TYPE_CHECKING:
    from ..orchestrator.agreement import normalise
    from .comparison import Comparison, compare
    from .contestant import Contestant, contestants
    from .data import Data, Item, Problem, read_items
    from .figures import FlowFigures, Versus, summarise
    from .metrics import best_scores, exact_match, token_f1
    from .rows import Row, read_rows
    from .scoring import Measure, Scorer, Scores, TextScorer
    from .sql_data import read_sql_items
    from .sql_scorer import BirdScorer, SpiderScorer
    from .statistics import Interval, bootstrap, wilson

__all__ = [
    "BirdScorer",
    "Comparison",
    "Contestant",
    "Data",
    "FlowFigures",
    "Interval",
    "Item",
    "Measure",
    "Problem",
    "Row",
    "Scorer",
    "Scores",
    "SpiderScorer",
    "TextScorer",
    "Versus",
    "best_scores",
    "bootstrap",
    "compare",
    "contestants",
    "exact_match",
    "normalise",
    "read_items",
    "read_rows",
    "read_sql_items",
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
    "scoring": ("Measure", "Scorer", "Scores", "TextScorer"),
    "sql_data": ("read_sql_items",),
    "sql_scorer": ("BirdScorer", "SpiderScorer"),
    "statistics": ("Interval", "bootstrap", "wilson"),
}

__getattr__, __dir__ = lazily(__name__, _HOMES)
