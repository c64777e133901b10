"""SQL as a tool: databases that can only be read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...lazy import lazily

if TYPE_CHECKING:
    from .database import Database
    from .schema import Column, Schema, TableInfo
    from .table import Table
    from .tool import SQL

__all__ = ["SQL", "Column", "Database", "Schema", "Table", "TableInfo"]

__getattr__, __dir__ = lazily(
    __name__,
    {
        "database": ("Database",),
        "schema": ("Column", "Schema", "TableInfo"),
        "table": ("Table",),
        "tool": ("SQL",),
    },
)
