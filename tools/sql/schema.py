"""Schema: tables, columns and keys of a database, as a prompt shows them.

The text is the same for the same database, so that a server can cache it. Names and sample values come from the
database and are untrusted: each stays on its line, without control characters.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

CHARACTERS_PER_TOKEN = 4
"""Roughly, where no counter is given."""
SAMPLES = 3
"""Most sample values of a column."""
SAMPLE_CHARS = 30
"""Longest sample value, in characters; cut with "…"."""

_PLAIN = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_RESERVED_WORDS = """
add all alter and as asc autoincrement between by case check collate column commit constraint create cross default
deferrable delete desc distinct drop else end escape except exists fetch for foreign from full group having in index
inner insert intersect into is isnull join key left like limit natural not notnull null of on or order outer primary
references returning right select set table then to transaction union unique update user using values when where with
"""
_RESERVED = frozenset(_RESERVED_WORDS.split())
"""Words that a statement cannot use as a name without quotes."""


class Column(msgspec.Struct, frozen=True):
    """A column; `samples` are a few of its values as SQL would write them."""

    name: str
    type: str = ""
    samples: tuple[str, ...] = ()


class TableInfo(msgspec.Struct, frozen=True):
    """A table or view. A foreign key is (column here, other table, column there)."""

    name: str
    columns: tuple[Column, ...]
    primary_key: tuple[str, ...] = ()
    foreign_keys: tuple[tuple[str, str, str], ...] = ()


class Schema(msgspec.Struct, frozen=True):
    """The tables of a database, in the order of their names."""

    tables: tuple[TableInfo, ...]

    def text(
        self, most_tokens: int | None = None, samples: bool = True, count: Callable[[str], int] | None = None
    ) -> str:
        """The schema as CREATE TABLE statements, a column a line, sample values behind it as a comment.

        In more than `most_tokens` (counted by `count`; else four characters a token) it first drops the samples, then
        the types, then whole tables from the end, and says on its last line what was left out.
        """
        count = count or _about
        for text in self._shorter_and_shorter(samples):
            if most_tokens is None or count(text) <= most_tokens:
                return text
        return text

    def only(self, tables: Mapping[str, Sequence[str]]) -> Schema:
        """The tables and columns named (without regard to case), with keys and the columns that join them.

        Unknown names are ignored. Foreign keys to tables that are not named are left out.
        """
        wanted = {table.lower(): {column.lower() for column in columns} for table, columns in tables.items()}
        kept = [table for table in self.tables if table.name.lower() in wanted]
        names = {table.name for table in kept}
        joining = {
            end
            for table in kept
            for column, other, there in table.foreign_keys
            if other in names
            for end in ((table.name, column), (other, there))
        }
        return Schema(tuple(_part(table, wanted[table.name.lower()], names, joining) for table in kept))

    def _shorter_and_shorter(self, samples: bool) -> Iterator[str]:
        yield self._text(len(self.tables), samples, types=True)
        left_out = []
        if samples:
            left_out.append("sample values")
            yield self._text(len(self.tables), False, types=True, left_out=left_out)
        left_out.append("types")
        for tables in range(len(self.tables), -1, -1):
            yield self._text(tables, False, types=False, left_out=left_out)

    def _text(self, tables: int, samples: bool, *, types: bool, left_out: Sequence[str] = ()) -> str:
        lines = [line for table in self.tables[:tables] for line in _table(table, samples, types)]
        missing = [one_line(table.name) for table in self.tables[tables:]]
        if missing:
            more = ", …" if len(missing) > 5 else ""
            noun = "table" if len(missing) == 1 else "tables"
            left_out = [*left_out, f"{len(missing)} {noun} ({', '.join(missing[:5])}{more})"]
        if left_out:
            lines.append(f"-- left out: {', '.join(left_out)}")
        return "\n".join(lines)


def sampled(values: Sequence[Any]) -> tuple[str, ...]:
    """The first few different values, as samples; None and blobs are no samples."""
    found: dict[str, None] = {}
    for value in values:
        if value is not None and not isinstance(value, (bytes, bytearray, memoryview)):
            found[_sample(value)] = None
        if len(found) == SAMPLES:
            break
    return tuple(found)


def one_line(text: str) -> str:
    """`text` on one line: runs of whitespace made one space, control and formatting characters removed."""
    if not text.isprintable():
        text = "".join(sign for sign in text if sign.isspace() or unicodedata.category(sign)[0] != "C")
    return " ".join(text.split())


def _sample(value: Any) -> str:
    if isinstance(value, (int, float, Decimal)):
        return str(value)
    text = one_line(str(value)[: 10 * SAMPLE_CHARS])
    if len(text) > SAMPLE_CHARS:
        text = f"{text[: SAMPLE_CHARS - 1]}…"
    return "'{}'".format(text.replace("'", "''"))


def _part(table: TableInfo, wanted: set[str], tables: set[str], joining: set[tuple[str, str]]) -> TableInfo:
    """What is left of a table: the wanted columns, its primary key, the columns that join it; all if that is none."""
    columns = tuple(
        column
        for column in table.columns
        if column.name.lower() in wanted or column.name in table.primary_key or (table.name, column.name) in joining
    )
    foreign = tuple(key for key in table.foreign_keys if key[1] in tables)
    return TableInfo(table.name, columns or table.columns, table.primary_key, foreign)


def _table(table: TableInfo, samples: bool, types: bool) -> Iterator[str]:
    yield f"CREATE TABLE {name(table.name)} ("
    references: dict[str, str] = {}
    for here, other, there in table.foreign_keys:
        references.setdefault(here, f" REFERENCES {name(other)}({name(there)})")
    for column in table.columns:
        type = f" {one_line(column.type)}" if types and column.type else ""
        key = " PRIMARY KEY" if table.primary_key == (column.name,) else ""
        reference = references.get(column.name, "")
        # The numbers in a key say nothing about it.
        shown = [value for value in column.samples if value[0] == "'" or not (key or reference)] if samples else []
        behind = f" -- {', '.join(shown)}" if shown else ""
        yield f"{name(column.name)}{type}{key}{reference},{behind}"
    if len(table.primary_key) > 1:
        yield f"PRIMARY KEY ({', '.join(map(name, table.primary_key))}),"
    yield ");"


def name(written: str) -> str:
    """A name as a statement would write it: in quotes where it needs them."""
    if _PLAIN.fullmatch(written) and written.lower() not in _RESERVED:
        return written
    return '"{}"'.format(one_line(written).replace('"', '""'))


def _about(text: str) -> int:
    return -(-len(text) // CHARACTERS_PER_TOKEN)
