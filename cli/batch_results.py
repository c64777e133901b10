"""Results of a batch as columns, one row an item, and as JSONL, CSV and Parquet.

JSONL and Parquet hold every text as it is. CSV is made to be opened in a spreadsheet, which would run a cell that
begins as a formula does: an apostrophe before it makes it text. Plain numbers such as `-1` are no formulas and stay.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from ..errors import FlowError, InputError
from ..planners.batch.answers import Answers, Detail
from .text import well_formed

Kind = Literal["text", "whole", "weights", "any"]


class Column(NamedTuple):
    """A column of the results, a value for each item."""

    name: str
    kind: Kind
    values: Sequence[Any]


Write = Callable[[Sequence[Column]], bytes]
"""A format: columns as the content of a file."""

DETAILS: dict[str, tuple[Kind, Callable[[Detail], Any]]] = {
    "by": ("text", lambda detail: detail.by),
    "votes": ("weights", lambda detail: detail.votes),
    "rounds": ("whole", lambda detail: detail.rounds),
    "why": ("text", lambda detail: detail.why),
    "prompt": ("whole", lambda detail: detail.share.prompt),
    "cached": ("whole", lambda detail: detail.share.cached),
    "completion": ("whole", lambda detail: detail.share.completion),
    "tokens": ("whole", lambda detail: detail.share.total),
}
"""What stands beside the answers of a `kind: batch`: how each came about, and its exact share of the cost."""

_FORMULA = re.compile(r"[=+\-@\t\r＝＋－＠]")
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?(e[+-]?\d+)?\Z", re.IGNORECASE | re.ASCII)


def check_names(outputs: Mapping[str, Any]) -> None:
    """Raises FlowError for an output whose name is that of a column which the command writes itself."""
    for name in outputs:
        if name.rpartition(".")[2] in ("id", *DETAILS):
            raise FlowError(
                f"the output {name!r} has the name of a column that `laconic batch` writes itself; give it another one",
                at=("outputs", name),
            )


def columns_of(ids: Sequence[str], outputs: Mapping[str, Any]) -> list[Column]:
    """The columns from those outputs that are lists as long as the items; empty if there is none.

    What stands beside the answers has the output's name before it (`labels.by`) if several outputs have such columns.
    """
    lists = {name: value for name, value in outputs.items() if is_of(value, len(ids))}
    several = sum(isinstance(value, Answers) for value in lists.values()) > 1
    columns = [Column("id", "text", ids)] if lists else []
    for name, value in lists.items():
        columns.append(Column(name, "text" if isinstance(value, Answers) else "any", value))
        if isinstance(value, Answers):
            for of, (kind, read) in DETAILS.items():
                columns.append(Column(f"{name}.{of}" if several else of, kind, list(map(read, value.details))))
    return columns


def is_of(value: Any, number: int) -> bool:
    """Whether an output is a list with a value for each of so many items."""
    return isinstance(value, (list, tuple)) and len(value) == number


def format_of(path: Path | None) -> Write:
    """The format for a file, by its suffix; JSONL for None. Raises InputError if it cannot be written."""
    if path is None:
        return jsonl
    write = FORMATS.get(path.suffix.lower())
    if write is None:
        raise InputError(f"--out {path}: results are written as {', '.join(FORMATS)}, by the end of the file's name")
    if write is parquet:
        _pyarrow()
    return write


def jsonl(columns: Sequence[Column]) -> bytes:
    """A JSON object a line."""
    names = [column.name for column in columns]
    rows = (dict(zip(names, values, strict=True)) for values in zip(*(c.values for c in columns), strict=True))
    # Half of a surrogate pair is no UTF-8; the escape that stands for it is the one that JSON has for it as well.
    return "".join(f"{_json(row)}\n" for row in rows).encode("utf-8", "backslashreplace")


def as_csv(columns: Sequence[Column]) -> bytes:
    """Lines with commas, the names first; mappings and lists are JSON, what is missing is empty."""
    text = io.StringIO()
    lines = csv.writer(text)  # with any other end of a line it would leave a lone CR unquoted: a row of its own
    lines.writerow([column.name for column in columns])
    lines.writerows([_cell(value) for value in values] for values in zip(*(c.values for c in columns), strict=True))
    return text.getvalue().encode("utf-8", "replace")


def parquet(columns: Sequence[Column]) -> bytes:
    """Typed columns; weights are a map from text to number, other mappings and lists are JSON. Raises InputError."""
    arrow, files = _pyarrow()
    table = arrow.table({column.name: _array(arrow, column) for column in columns})
    buffer = io.BytesIO()
    files.write_table(table, buffer)
    return buffer.getvalue()


FORMATS: dict[str, Write] = {".jsonl": jsonl, ".csv": as_csv, ".parquet": parquet}
"""By the end of a file's name."""


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        return _json(value)
    return f"'{value}" if _FORMULA.match(value) and not _NUMBER.match(value) else value


def _array(arrow: Any, column: Column) -> Any:
    values = column.values
    if column.kind == "whole":
        return arrow.array(values, arrow.int64())
    if column.kind == "weights":
        pairs = [[(well_formed(label), weight) for label, weight in value.items()] for value in values]
        return arrow.array(pairs, arrow.map_(arrow.string(), arrow.float64()))
    types = {type(value) for value in values if value is not None}
    if types in ({bool}, {int}, {float}, {int, float}):
        try:
            return arrow.array(values)
        except (OverflowError, ValueError):
            pass  # numbers that have no place in a column of numbers are written out
    texts = [value if value is None or isinstance(value, str) else _json(value) for value in values]
    return arrow.array([None if text is None else well_formed(text) for text in texts], arrow.string())


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        from pyarrow import parquet as files
    except ImportError as error:
        raise InputError(
            "Parquet needs pyarrow, which is not installed: pip install 'laconic[parquet]', or write .jsonl or .csv"
        ) from error
    return pyarrow, files
