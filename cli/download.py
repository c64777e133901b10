"""Getting a model's file, with its bytes shown on the way."""

from __future__ import annotations

import sys
from pathlib import Path

from ..backends import catalogue
from ..backends.pull import pull
from .errors import say


def pull_shown(name: str, *, to: Path | None = None, given: Path | None = None) -> Path:
    """`pull`, with a bar on a terminal and a line a tenth in a pipe. Raises ModelFileError."""
    if not sys.stderr.isatty():
        return pull(name, to=to, given=given, progress=_Tenths(name))
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Bars(*columns, console=Console(stderr=True)) as bars:
        task = bars.add_task(name, total=catalogue.entry(name).size)

        def show(done: int, total: int, source: str) -> None:
            bars.update(task, completed=done, total=total, description=f"{name} ({source})")

        return pull(name, to=to, given=given, progress=show)


class _Tenths:
    """Says every tenth, for each source anew."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._said: dict[str, int] = {}

    def __call__(self, done: int, total: int, source: str) -> None:
        tenth = 10 * done // total if total else 0
        if self._said.get(source) != tenth:
            self._said[source] = tenth
            say(f"{self._name} ({source}): {done / 1e6:,.0f} of {total / 1e6:,.0f} MB")
