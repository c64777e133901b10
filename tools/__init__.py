"""What a plan may call: search, calculator, a model as a tool, and a tool that always fails."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .ask import Ask
    from .calculator import Calculator
    from .nothing import Nothing
    from .search import Search

__all__ = ["Ask", "Calculator", "Nothing", "Search"]


def __getattr__(name: str) -> Any:
    """A tool's module is imported when the tool is first named."""
    if name in __all__:
        return getattr(import_module(f".{name.lower()}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
