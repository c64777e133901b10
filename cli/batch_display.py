"""What `laconic batch` shows on the way: a bar on a terminal, a line for every tenth of the items in a pipe."""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Self

from ..accounting.totals import Total
from ..orchestrator import CallCharged, Event, ItemsDecided, NodeFinished
from .errors import say
from .progress import node_lines
from .text import harmless

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_BELOW = re.compile(r"[/\[]")


class BatchLines:
    """Plain lines, and what every display needs: how far each batch node is, what each node of the flow spent."""

    def __init__(self, settle: Callable[[], None]) -> None:
        """`settle` brings the answers so far to the file: what a line says was done is not paid for again."""
        self._settle = settle
        self.standing: dict[str, ItemsDecided] = {}
        """How far each batch node is, by its path."""
        self._spent: defaultdict[str, Total] = defaultdict(Total)

    def event(self, event: Event) -> None:
        """Take in what happened, and show what a person wants to know of it."""
        if isinstance(event, CallCharged):
            self._spent[_BELOW.split(event.call.node, maxsplit=1)[0]] += Total.of([event.call])
        elif isinstance(event, ItemsDecided):
            before, self.standing[event.path] = self.standing.get(event.path), event
            a_tenth = event.done * 10 // event.of > (0 if before is None else before.done * 10 // before.of)
            if a_tenth:
                self._settle()
            self.went_on(event, before, a_tenth)
        elif isinstance(event, NodeFinished) and not _BELOW.search(event.path):
            self.tell(node_lines(event, self._spent[event.path]))

    def went_on(self, now: ItemsDecided, before: ItemsDecided | None, a_tenth: bool) -> None:
        """A batch node is further than it was, maybe by a tenth of its items."""
        if a_tenth:
            say(f"{now.path}: {how_far(now)}")

    def tell(self, lines: Sequence[str]) -> None:
        """Say something that stays."""
        for line in lines:
            say(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


class BatchBar(BatchLines):
    """A bar for each batch node."""

    def __init__(self, settle: Callable[[], None]) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        super().__init__(settle)
        self._bars: Progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[told]}", markup=False),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            redirect_stdout=False,
        )
        self._bar: dict[str, TaskID] = {}

    def went_on(self, now: ItemsDecided, before: ItemsDecided | None, a_tenth: bool) -> None:
        """Move its bar."""
        if before is None:
            self._bar[now.path] = self._bars.add_task(now.path, total=now.of, told="")
        self._bars.update(self._bar[now.path], completed=now.done, told=how_far(now))

    def tell(self, lines: Sequence[str]) -> None:
        """Print above the bars."""
        from rich.text import Text

        for line in lines:
            self._bars.console.print(Text(harmless(line)))

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()


def batch_display(settle: Callable[[], None]) -> BatchLines:
    """The display that fits."""
    return BatchBar(settle) if sys.stderr.isatty() else BatchLines(settle)


def how_far(now: ItemsDecided) -> str:
    """Items, votes, and what was saved so far; nothing of a saving that there is not, or that nobody can tell."""
    saved = 0 if now.single is None else now.single - now.tokens
    saving = f", about {saved:,} tokens saved" if saved > 0 else ""
    return f"{now.done:,}/{now.of:,} items, {now.votes:,} votes{saving}"
