"""A folder of SQLite databases: NAME.sqlite or NAME/NAME.sqlite, found by name and never outside it."""

from __future__ import annotations

from pathlib import Path

from ...backends.nearest import did_you_mean
from ...errors import SQLFailed

MOST_CHARS = 100
"""Longest name of a database, in characters."""


def find_database(folder: Path, name: str) -> Path:
    """The file of the database `name`; without a name, the only one. Raises SQLFailed with the nearest names."""
    if name:
        path = _file(folder, name)
        if path is None:
            raise SQLFailed(
                f"there is no database {name[:MOST_CHARS]!r}.{did_you_mean(name[:MOST_CHARS], database_names(folder))}"
            )
        return path
    names = database_names(folder)
    if len(names) != 1:
        some = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
        raise SQLFailed(
            f"say which database: there are {len(names)} ({some})" if names else "there is no database here"
        )
    return find_database(folder, names[0])


def database_names(folder: Path) -> list[str]:
    """The names of the databases in a folder, sorted. Raises SQLFailed if it cannot be read."""
    try:
        found = {path.stem if path.is_file() else path.name for path in folder.iterdir()}
    except OSError as error:
        raise SQLFailed(f"the folder of databases {folder.name!r} cannot be read: {error.strerror}") from None
    return sorted(name for name in found if _file(folder, name) is not None)


def _file(folder: Path, name: str) -> Path | None:
    # A name is one part of a path, and no link may lead out of the folder.
    if len(name) > MOST_CHARS or "\0" in name or Path(name).name != name or "\\" in name:
        return None
    inside = folder.resolve()
    for path in (folder / f"{name}.sqlite", folder / name / f"{name}.sqlite"):
        if path.is_file() and path.resolve().is_relative_to(inside):
            return path
    return None
