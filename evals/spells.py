"""Spells: how long answers took that were under way together, and how fast their tokens were written."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from .rows import Row

ABOUT = """What was under way together stands in one line. Tokens that were replaced are not written. `≤`: some
answers were reused, which took no time; where that is more than a tenth of all tokens, no speed is said."""
SPEED = {"flows": "---"} | dict.fromkeys(("answers", "seconds", "tokens written", "a second", "tokens reused"), "---:")
"""Columns of the table, and how they are aligned."""


class Spell(msgspec.Struct, frozen=True, kw_only=True):
    """The answers of one or several flows that were under way at the same time."""

    flows: tuple[str, ...]
    answers: int
    seconds: float
    """From the first that began to the last that ended, without the time in which none was under way."""
    written: int
    """Tokens that stand in the answers and in what led to them; those that were replaced are not among them."""
    total: int
    """Tokens of all calls, prompts too."""
    avoided: int
    """Of them those that took no time, since an answer was reused."""


def spells(rows: Iterable[Row]) -> list[Spell]:
    """One for each list of flows that were under way together, in the order in which they began.

    Rows that do not say when they were finished, as those of an early version, are left out.
    """
    found: dict[tuple[str, ...], list[Sequence[Row]]] = {}
    for together in _together(rows):
        found.setdefault(tuple(dict.fromkeys(row.flow for row in together)), []).append(together)
    return [
        Spell(
            flows=flows,
            answers=sum(map(len, parts)),
            seconds=sum(max(row.finished for row in part) - min(map(_began, part)) for part in parts),
            written=sum(_written(row) for part in parts for row in part),
            total=sum(row.total for part in parts for row in part),
            avoided=sum(row.avoided for part in parts for row in part),
        )
        for flows, parts in found.items()
    ]


def speed(rows: Iterable[Row]) -> list[list[str]]:
    """The rows of the table."""
    return [
        [
            ", ".join(of.flows),
            f"{of.answers:,}",
            f"{of.seconds:,.1f}",
            f"{of.written:,}",
            _rate(of),
            f"{of.avoided:,}",
        ]
        for of in spells(rows)
    ]


def _rate(of: Spell) -> str:
    """Tokens a second; at most so many where a little was reused, and nothing where more was."""
    if not of.seconds or of.avoided > of.total / 10:
        return ""
    return f"{'≤ ' if of.avoided else ''}{of.written / of.seconds:,.0f}"


def _together(rows: Iterable[Row]) -> list[list[Row]]:
    """The rows in the order in which they began, divided where none was under way."""
    parts: list[list[Row]] = []
    end = 0.0
    for row in sorted((row for row in rows if row.finished), key=_began):
        if not parts or _began(row) >= end:
            parts.append([])
        parts[-1].append(row)
        end = max(end, row.finished)
    return parts


def _began(row: Row) -> float:
    return row.finished - row.seconds * row.together


def _written(row: Row) -> int:
    return sum(tokens.written for tokens in row.roles.values()) if row.roles else row.completion
