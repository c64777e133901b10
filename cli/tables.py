"""Tables on stdout: drawn on a terminal, aligned text in a pipe."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from ..accounting.totals import Total
from ..evals.figures import FlowFigures
from ..evals.report import rich_table, text_table
from .text import harmless


def show_comparison(figures: Sequence[FlowFigures]) -> None:
    """The figures of a comparison."""
    if not figures:
        return
    if sys.stdout.isatty():
        from rich.console import Console

        Console().print(rich_table(figures))
    else:
        sys.stdout.write(text_table(figures) + "\n")


def show_table(
    head: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1, foot: Sequence[str] | None = None
) -> None:
    """A table whose first `left` columns are words and the others figures; `foot` is its last line, set apart."""
    if sys.stdout.isatty():
        from rich.box import SIMPLE_HEAD
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_footer=foot is not None)
        for i, name in enumerate(head):
            justify: Any = "left" if i < left else "right"
            footer = Text(foot[i]) if foot is not None else ""
            # On a narrow terminal the heads give way, and the last column of several with words.
            gives = left > 1 and i == left - 1
            cells = [*(row[i] for row in rows), *([foot[i]] if foot is not None else []), *name.split()]
            widest = max(map(len, cells), default=0)
            table.add_column(
                Text(name), footer=footer, justify=justify, overflow="fold", min_width=min(12 if gives else 40, widest)
            )
        for row in rows:
            table.add_row(*(Text(harmless(cell)) for cell in row))
        Console().print(table)
        return
    lines = [head, *rows, *([foot] if foot is not None else [])]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    for line in lines:
        cells = [
            cell.ljust(width) if i < left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        sys.stdout.write("  ".join(cells).rstrip() + "\n")


def totals_as_data(total: Total) -> dict[str, Any]:
    """A total as plain data: figures, and for each field that is a lower bound, in how many calls it is unknown."""
    return {
        "prompt": total.prompt,
        "cached": total.cache_read,
        "completion": total.completion,
        "total": total.total,
        "calls": total.sent,
        "replayed": total.replayed,
        "seconds": round(total.seconds, 3),
        "avoided": total.avoided_prompt + total.avoided_completion,
        "cost": None if total.at_least("cost") else str(total.cost),
        "unknown": dict(total.unknown),
        "counted": total.counted,
        "estimated": total.estimated,
    }
