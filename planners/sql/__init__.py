"""Text-to-SQL: which part of a schema a question needs, and the query that answers it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...lazy import lazily

if TYPE_CHECKING:
    from .link import LinkSchema
    from .write import TextToSQL
    from .written import read_query

__all__ = ["LinkSchema", "TextToSQL", "read_query"]

__getattr__, __dir__ = lazily(__name__, {"link": ("LinkSchema",), "write": ("TextToSQL",), "written": ("read_query",)})
