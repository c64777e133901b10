"""Questions with gold SQL: files and folders as Spider and BIRD give them out, and JSONL, read as items.

Whatever the fields are called there, an item has `question`, `evidence` (a hint, may be empty), `db_id` and `sql`, and
`difficulty` where the data says it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..errors import InputError
from .data import Data, Problem, collected, json_lines, read_bytes

FILES = ("dev.json", "dev.jsonl")
"""What a folder's questions are in."""
FOLDERS = ("database", "dev_databases", "databases")
"""What a folder's databases are in."""


def read_sql_items(path: str | Path, limit: int | None = None) -> Data:
    """The first `limit` good items of a JSONL file, a JSON file with an array, or a folder with one of `FILES`.

    An entry that is no object, or repeats an id, is a `Problem` and left out. Raises InputError if there is no such
    file or nothing is left.
    """
    path = Path(path)
    if path.is_dir():
        path = _first(path, FILES) or _none_of(path, FILES)
    content = read_bytes(path)
    is_array = content.lstrip().startswith(b"[")
    values = enumerate(_array(path, content), start=1) if is_array else json_lines(content)
    named = ((number, _named(value)) for number, value in values)
    return collected(path, named, limit, unit="entry" if is_array else "line")


def databases_beside(path: str | Path) -> Path | None:
    """The folder of databases that comes with a folder of questions, or with a file in it; None if there is none."""
    path = Path(path)
    return _first(path if path.is_dir() else path.parent, FOLDERS)


def _array(path: Path, content: bytes) -> list[Any]:
    try:
        entries: list[Any] = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InputError(f"the data file {str(path)!r} is not valid JSON: {error}") from None
    return entries


def _named(value: Any) -> Any:
    """An entry under our names. Spider has the query in `query` (and a parse of it in `sql`), BIRD in `SQL`."""
    if isinstance(value, Problem) or not isinstance(value, dict):
        return value
    gold = next((value[name] for name in ("query", "SQL", "sql") if isinstance(value.get(name), str)), None)
    names = {"id": value.get("id", value.get("question_id")), "evidence": value.get("evidence") or "", "sql": gold}
    return {name: one for name, one in {**value, **names}.items() if one is not None}


def _first(folder: Path, names: tuple[str, ...]) -> Path | None:
    return next((folder / name for name in names if (folder / name).exists()), None)


def _none_of(folder: Path, names: tuple[str, ...]) -> Path:
    raise InputError(f"there is none of {', '.join(names)} in the folder {str(folder)!r}")
