"""Data sets: one JSON object a line. A bad line is remembered with its number; the rest is used."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import InputError


@dataclass(frozen=True)
class Item:
    """One line of a data file (or entry of an array). `id` is its field `id`, or that of the line (from 1)."""

    id: str
    line: int
    fields: dict[str, Any]

    @property
    def group(self) -> str:
        """What items belong together by: their database (`db_id`); empty if they have none."""
        return str(self.fields.get("db_id") or "")


@dataclass(frozen=True)
class Problem:
    """A line that cannot be used, and why."""

    line: int
    text: str
    unit: str = "line"
    """What is counted: lines, or the entries of an array."""

    def __str__(self) -> str:
        return f"{self.unit} {self.line}: {self.text}"


@dataclass
class Data:
    """A data file as read: the items in the order of the file, and the lines that were left out."""

    path: Path
    items: list[Item] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    unit: str = "line"
    """What `line` counts: lines, or the entries of an array."""

    def refuse(self, item: Item, why: str) -> None:
        """Leave an item out that turned out to be unfit."""
        self.items.remove(item)
        self.problems.append(Problem(item.line, why, self.unit))
        self.problems.sort(key=lambda problem: problem.line)

    def keep_of_each(self, most: int) -> None:
        """Keep the first `most` items of each group."""
        seen: Counter[str] = Counter()
        kept = []
        for item in self.items:
            seen[item.group] += 1
            if seen[item.group] <= most:
                kept.append(item)
        self.items = kept

    def require(self, check: Callable[[Item], str]) -> None:
        """Leave out every item for which `check` has a complaint. Raises InputError if nothing is left."""
        for item in list(self.items):
            why = check(item)
            if why:
                self.refuse(item, why)
        self.must_have_items()

    def must_have_items(self) -> None:
        """Raises InputError, with the first problems, if no item is left."""
        if not self.items:
            why = "; ".join(map(str, self.problems[:3])) or "it is empty"
            raise InputError(f"the data file {str(self.path)!r} has no item that can be used: {why}")


def read_items(path: str | Path, limit: int | None = None) -> Data:
    """Read a JSONL file, the first `limit` good lines of it.

    A line that is no JSON object, or repeats an id, is a `Problem` and left out. Raises InputError if the file cannot
    be read or nothing is left.
    """
    path = Path(path)
    return collected(path, json_lines(read_bytes(path)), limit)


def read_bytes(path: Path) -> bytes:
    """A data file without its byte order mark. Raises InputError."""
    try:
        return path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    except FileNotFoundError:
        raise InputError(f"there is no data file {str(path)!r}") from None
    except OSError as error:
        raise InputError(f"the data file {str(path)!r} cannot be read: {error.strerror}") from error


def json_lines(content: bytes) -> Iterator[tuple[int, Any]]:
    """The number of each line that is not empty and what it holds: a JSON value, or a Problem where it is none."""
    for number, line in enumerate(content.split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            yield number, json.loads(line)
        except (ValueError, RecursionError) as error:
            yield number, Problem(number, f"not valid JSON: {_why(error)}")


def collected(path: Path, values: Iterable[tuple[int, Any]], limit: int | None, unit: str = "line") -> Data:
    """The first `limit` good ones of `values`, each with its number, as items.

    Raises InputError if nothing is left.
    """
    data = Data(path, unit=unit)
    first: dict[str, int] = {}
    for line, value in values:
        if limit is not None and len(data.items) >= limit:
            break
        if isinstance(value, Problem):
            data.problems.append(value)
            continue
        if not isinstance(value, dict):
            data.problems.append(Problem(line, f"not a JSON object but {_json_type(value)}", unit))
            continue
        id = _id(value.get("id"), line)
        if id in first:
            data.problems.append(Problem(line, f"the id {id!r} is on {unit} {first[id]} already", unit))
            continue
        first[id] = line
        data.items.append(Item(id, line, value))
    data.must_have_items()
    return data


def gold_answers(item: Item) -> list[str]:
    """The right answers of an item: `answer` (one, or a list) and `aliases`; empty if it has none."""
    found: list[str] = []
    for name in ("answer", "answers", "aliases"):
        value = item.fields.get(name)
        found += [as_answer(one) for one in (value if isinstance(value, list) else [value]) if one is not None]
    return list(dict.fromkeys(found))


def lacks(fields: Mapping[str, Any], names: Iterable[str]) -> str:
    """A complaint about the `names` that an item does not have, or nothing."""
    missing = [name for name in names if name not in fields]
    if not missing:
        return ""
    return f"no field {', '.join(map(repr, missing))} (it has {', '.join(map(repr, list(fields)[:8])) or 'none'})"


def _id(value: Any, number: int) -> str:
    return str(number) if value is None or value == "" or isinstance(value, (dict, list)) else str(value)


def as_answer(value: Any) -> str:
    """A value of a data file as an answer would say it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _why(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} (column {error.colno})"
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)


def _json_type(value: Any) -> str:
    names = {list: "a list", str: "text", bool: "a truth value", type(None): "null"}
    return names.get(type(value), "a number")
