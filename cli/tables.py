"""Tables on stdout: drawn on a terminal, aligned text in a pipe."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from ..evals.figures import FlowFigures
from ..evals.report import rich_table, text_table


def show_comparison(figures: Sequence[FlowFigures]) -> None:
    """The figures of a comparison."""
    if not figures:
        return
    if sys.stdout.isatty():
        from rich.console import Console

        Console().print(rich_table(figures))
    else:
        sys.stdout.write(text_table(figures) + "\n")
