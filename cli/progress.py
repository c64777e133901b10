"""What a run shows while it goes on: a live tree on a terminal, plain lines in a pipe. Both on stderr."""

from __future__ import annotations

import re
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, Self

from ..accounting.call import Call
from ..accounting.totals import Total
from ..orchestrator import CallCharged, Event, NodeFinished, NodeStarted
from .errors import say
from .text import laid_out, one_line

if TYPE_CHECKING:
    from rich.live import Live
    from rich.tree import Tree

_PARENT = re.compile(r"(/[^/\[\]]+|\[\d+\])$")
SIGNS = {"running": "…", "ok": "✓", "skipped": "-", "failed": "✗", "cancelled": "✗"}

MESSAGES = ("speak", "feedback")
"""The kind of a node that is one turn of an agent. What it says of how it went is the message: shown whole."""


class Progress(Protocol):
    """Shows a run. A context manager; `event` is called by the run, `finished` for each item of a data run."""

    def event(self, event: Event) -> None:
        """Something happened in the run."""
        ...

    def finished(self, done: int, all_items: int, item: str, status: str, total: Total, seconds: float) -> None:
        """An item ended."""
        ...

    def answer(self, line: str) -> None:
        """A line for stdout."""
        ...

    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...


def progress(*, items: bool) -> Progress:
    """The display that fits: `items` says that many items run, of which only the ends are told."""
    return LiveTree(items) if sys.stderr.isatty() else Lines(items)


class Lines:
    """A line for every node, or every item, that ended."""

    def __init__(self, items: bool) -> None:
        self._items = items
        self._calls: dict[str, list[Call]] = {}

    def event(self, event: Event) -> None:
        """Print a line for a node that ended."""
        if self._items:
            return
        if isinstance(event, CallCharged):
            self._calls.setdefault(event.call.node, []).append(event.call)
        elif isinstance(event, NodeFinished):
            for line in node_lines(event, Total.of(self._calls.pop(event.path, []))):
                say(line)

    def finished(self, done: int, all_items: int, item: str, status: str, total: Total, seconds: float) -> None:
        """Print a line for an item that ended."""
        say(item_line(done, all_items, item, status, total, seconds))

    def answer(self, line: str) -> None:
        """Write it."""
        sys.stdout.write(line + "\n")
        sys.stdout.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def node_lines(event: NodeFinished, spent: Total) -> list[str]:
    """How a node ended, on one line, and what it said of that, on others."""
    tokens = f", {spent.show('total')} tokens" if spent.calls else ""
    error = f": {one_line(event.error)}" if event.error else ""
    ended = f"{event.path} ({event.kind}) {event.status}, {event.seconds:.1f} s{tokens}{error}"
    return [ended, *note_lines(event)]


def note_lines(event: NodeFinished) -> list[str]:
    """What a node said of how it ended, a line each."""
    return [f"  {laid_out(note, most=10_000 if event.kind in MESSAGES else 160)}" for note in event.notes]


def item_line(done: int, all_items: int, item: str, status: str, total: Total, seconds: float) -> str:
    """How an item ended, on one line."""
    avoided = total.avoided_prompt + total.avoided_completion
    saved = f" ({avoided:,} avoided)" if avoided else ""
    return f"{done}/{all_items} item {item}: {status}, {total.show('total')} tokens{saved}, {seconds:.1f} s"


@dataclass
class _Shown:
    """A node as the tree shows it."""

    kind: str
    status: str = "running"
    began: float = field(default_factory=time.monotonic)
    seconds: float | None = None
    error: str = ""
    notes: tuple[str, ...] = ()
    calls: list[Call] = field(default_factory=list)


class LiveTree:
    """The nodes of a run as a tree that grows, with their tokens so far."""

    def __init__(self, items: bool) -> None:
        self._items = items
        self._nodes: dict[str, _Shown] = {}
        self._all = Total()
        self._done = ""
        self._began = time.monotonic()
        self._live: Live | None = None

    def event(self, event: Event) -> None:
        """Take in what happened; the screen is drawn eight times a second, whatever happens."""
        if isinstance(event, CallCharged):
            self._all = self._all + Total.of([event.call])
            shown = self._nodes.get(self._name(event.call.node, event.call.item))
            if shown is not None:
                shown.calls.append(event.call)
        elif isinstance(event, NodeStarted):
            self._nodes[self._name(event.path, event.item)] = _Shown(event.kind)
        elif isinstance(event, NodeFinished):
            name = self._name(event.path, event.item)
            shown = self._nodes.get(name)
            if shown is not None:
                shown.status, shown.seconds, shown.error = event.status, event.seconds, event.error
                shown.notes = () if event.kind in MESSAGES else event.notes
            if event.kind in MESSAGES and not self._items:
                self._above(*note_lines(event))

    def finished(self, done: int, all_items: int, item: str, status: str, total: Total, seconds: float) -> None:
        """Print the item's line above the tree, and take its nodes out of the tree."""
        self._done = f"{done}/{all_items} items, "
        self._nodes = {name: shown for name, shown in self._nodes.items() if not name.startswith(f"{item}: ")}
        self._above(item_line(done, all_items, item, status, total, seconds))

    def answer(self, line: str) -> None:
        """Write it; above the tree, if stdout is the same terminal."""
        if self._live is not None and sys.stdout.isatty():
            from rich.text import Text

            self._live.console.print(Text(line), soft_wrap=True)
        else:
            sys.stdout.write(line + "\n")
            sys.stdout.flush()

    def _above(self, *lines: str) -> None:
        """Print lines that stay, above the tree."""
        if self._live is not None:
            from rich.text import Text

            for line in lines:
                self._live.console.print(Text(line))

    def _name(self, path: str, item: str) -> str:
        return f"{item}: {path}" if self._items else path

    def __rich__(self) -> Tree:
        from rich.text import Text
        from rich.tree import Tree

        seconds = time.monotonic() - self._began
        tree = Tree(Text(f"{self._done}{self._all.show('total')} tokens, {self._all.calls} calls, {seconds:.0f} s"))
        branches: dict[str, Tree] = {}
        for name, shown in list(self._nodes.items()):
            above = branches.get(_PARENT.sub("", name), tree)
            branches[name] = above.add(Text(_label(name, shown)))
            for note in shown.notes:
                branches[name].add(Text(laid_out(note, most=160)))
        return tree

    def __enter__(self) -> Self:
        from rich.console import Console
        from rich.live import Live

        # What is written to stdout is ours to place (`answer`): redirected it would be drawn here and wrapped.
        live = Live(
            self, console=Console(stderr=True), refresh_per_second=8, transient=self._items, redirect_stdout=False
        )
        self._live = live
        live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None


def _label(name: str, shown: _Shown) -> str:
    seconds = shown.seconds if shown.seconds is not None else time.monotonic() - shown.began
    tokens = f"  {Total.of(shown.calls).show('total')} tokens" if shown.calls else ""
    error = f"  {one_line(shown.error, 80)}" if shown.error else ""
    return f"{SIGNS.get(shown.status, '?')} {name}  {shown.kind}  {seconds:.1f} s{tokens}{error}"
