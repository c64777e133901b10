"""Data sets: one JSON object a line. A bad line is remembered with its number; the rest is used."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import InputError


@dataclass(frozen=True)
class Item:
    """One line of a data file. `id` is its field `id`, or the number of the line (from 1)."""

    id: str
    line: int
    fields: dict[str, Any]


@dataclass(frozen=True)
class Problem:
    """A line that cannot be used, and why."""

    line: int
    text: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.text}"


@dataclass
class Data:
    """A data file as read: the items in the order of the file, and the lines that were left out."""

    path: Path
    items: list[Item] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def refuse(self, item: Item, why: str) -> None:
        """Leave an item out that turned out to be unfit."""
        self.items.remove(item)
        self.problems.append(Problem(item.line, why))
        self.problems.sort(key=lambda problem: problem.line)

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
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"there is no data file {str(path)!r}") from None
    except OSError as error:
        raise InputError(f"the data file {str(path)!r} cannot be read: {error.strerror}") from error
    data = Data(path)
    first: dict[str, int] = {}
    for number, line in enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        if limit is not None and len(data.items) >= limit:
            break
        if not line.strip():
            continue
        try:
            fields = json.loads(line)
        except (ValueError, RecursionError) as error:
            data.problems.append(Problem(number, f"not valid JSON: {_why(error)}"))
            continue
        if not isinstance(fields, dict):
            data.problems.append(Problem(number, f"not a JSON object but {_json_type(fields)}"))
            continue
        id = _id(fields.get("id"), number)
        if id in first:
            data.problems.append(Problem(number, f"the id {id!r} is on line {first[id]} already"))
            continue
        first[id] = number
        data.items.append(Item(id, number, fields))
    data.must_have_items()
    return data


def gold_answers(item: Item) -> list[str]:
    """The right answers of an item: `answer` (one, or a list) and `aliases`; empty if it has none."""
    found: list[str] = []
    for name in ("answer", "answers", "aliases"):
        value = item.fields.get(name)
        found += [_text(one) for one in (value if isinstance(value, list) else [value]) if one is not None]
    return list(dict.fromkeys(found))


def lacks(fields: Mapping[str, Any], names: Iterable[str]) -> str:
    """A complaint about the `names` that an item does not have, or nothing."""
    missing = [name for name in names if name not in fields]
    if not missing:
        return ""
    return f"no field {', '.join(map(repr, missing))} (it has {', '.join(map(repr, list(fields)[:8])) or 'none'})"


def _id(value: Any, number: int) -> str:
    return str(number) if value is None or value == "" or isinstance(value, (dict, list)) else str(value)


def _text(value: Any) -> str:
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
