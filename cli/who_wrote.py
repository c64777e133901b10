"""An answer that two models wrote, the large one's part coloured on a terminal and marked elsewhere."""

from __future__ import annotations

import os

import typer

from ..routers.routed import Routed
from .text import harmless

MARKS = ("⟦", "⟧")
"""Around what the large model wrote, where there are no colours."""


def who_wrote_what(answer: Routed, *, terminal: bool) -> str:
    """The answer's text with the large model's stretches set apart."""
    coloured = terminal and not os.environ.get("NO_COLOR")
    parts = []
    for span in answer.spans:
        text = harmless(span.text) if terminal else span.text
        if span.by == "small":
            parts.append(text)
        else:
            parts.append(typer.style(text, fg="magenta", bold=True) if coloured else f"{MARKS[0]}{text}{MARKS[1]}")
    return "".join(parts)
