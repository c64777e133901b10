"""Calls as a pandas DataFrame, for notebooks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..errors import LedgerError
from .call import Call
from .schema import CALL_COLUMNS, row_of

if TYPE_CHECKING:
    import pandas

WHOLE = (
    "attempt",
    "prompt",
    "completion",
    "cache_read",
    "cache_write",
    "reasoning",
    "instruction",
    "unused",
    "avoided_prompt",
    "avoided_completion",
    "avoided_cache_read",
    "avoided_cache_write",
    "avoided_reasoning",
)
"""Columns of whole numbers in which unknown is `<NA>`: it is neither 0 nor what would turn counts into floats."""


def frame(calls: Iterable[Call]) -> pandas.DataFrame:
    """One row a call, columns as in the table `calls` (`laconic.accounting.schema`). LedgerError without pandas."""
    try:
        import pandas
    except ImportError as error:
        raise LedgerError("a frame needs pandas, which is not installed: pip install 'laconic[eval]'") from error
    rows = pandas.DataFrame([row_of(call) for call in calls], columns=list(CALL_COLUMNS))
    return rows.astype(dict.fromkeys(WHOLE, "Int64"))
