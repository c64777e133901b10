"""Table: what a query gave."""

from __future__ import annotations

from datetime import date, datetime, time
from typing import Any

import msgspec


class Table(msgspec.Struct, frozen=True):
    """Rows as the database holds them: numbers, text, None, and bytes for blobs."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    more: bool = False
    """Whether there were more rows than the limit let through."""

    def shown(self) -> dict[str, Any]:
        """The same as plain values that can be written as JSON; a blob is shown by its length."""
        return {"columns": list(self.columns), "rows": [list(map(_shown, row)) for row in self.rows], "more": self.more}


def _shown(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (bytes, bytearray, memoryview)):
        return f"<blob of {len(value):,} bytes>"
    return value.isoformat() if isinstance(value, (date, datetime, time)) else str(value)
