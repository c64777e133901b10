"""What a plan may call: search, calculator, SQL, Python, a model as a tool, and a tool that always fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import lazily

if TYPE_CHECKING:
    from .ask import Ask
    from .calculator import Calculator
    from .nothing import Nothing
    from .python import Python
    from .search import Search
    from .sql.tool import SQL

__all__ = ["SQL", "Ask", "Calculator", "Nothing", "Python", "Search"]

__getattr__, __dir__ = lazily(
    __name__,
    {
        "ask": ("Ask",),
        "calculator": ("Calculator",),
        "nothing": ("Nothing",),
        "python": ("Python",),
        "search": ("Search",),
        "sql.tool": ("SQL",),
    },
)
