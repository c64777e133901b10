"""A comparison as a table for the terminal, as text, as JSON and as a Markdown document. Every figure is computed."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from ..accounting.activation import Activated, Tokens
from .comparison import Comparison
from .figures import FlowFigures, Measured
from .provenance import Provenance
from .scoring import MEASURES, TEXT, Measure
from .spells import ABOUT, SPEED, speed
from .statistics import RESAMPLES

if TYPE_CHECKING:
    from rich.table import Table

MODELS = dict.fromkeys(("flow", "role", "model", "backend", "file", "SHA-256"), "---")
"""Columns of the table of models."""
Line = tuple[str, list[str]]
"""One figure: its name, and its value for each flow."""

METHOD = """Intervals are 95 %: Wilson's for {exact}, seeded percentile bootstrap ({draws:,} draws) for everything else,
paired item by item where two flows are compared. {method} A failed item counts as wrong and its tokens count. Tokens
are all tokens of all calls, plans, repairs, tool-side calls and failed attempts included, as if no answer had been
reused; `prompt` includes `cached`. `≥` marks a lower bound: a server did not say."""


def lines(figures: Sequence[FlowFigures]) -> list[Line]:
    """The table, one figure a line."""

    def each(cell: Callable[[FlowFigures], str]) -> list[str]:
        return [cell(of_flow) for of_flow in figures]

    def tokens(field: str) -> list[str]:
        return each(lambda f: mark(f, field) + f"{getattr(f, field):,}")

    measure = _measure(figures)
    talk = any(f.messages.value for f in figures)
    roles = sorted({role for f in figures for role in f.roles})
    numbers = list(dict.fromkeys(name for f in figures for name in f.outputs))
    worth: list[Line] = [(measure.exact, each(lambda f: _percent(f.em)))]
    price: list[Line] = [(f"tokens for one {measure.right}", each(lambda f: _ratio_of(f, f.per_correct)))]
    if measure.partial:
        worth.append((measure.partial, each(lambda f: _percent(f.f1))))
        price.append((f"tokens for {measure.partial} of 1", each(lambda f: _ratio_of(f, f.per_f1))))
    found: list[Line] = [
        ("questions", each(lambda f: f"{f.n:,}")),
        *worth,
        ("tokens a question", each(lambda f: mark(f, "total") + _whole(f.tokens))),
        *price,
        ("prompt tokens", tokens("prompt")),
        ("  of them cached", tokens("cached")),
        ("completion tokens", tokens("completion")),
        *([("  of them messages, a question", each(lambda f: _whole(f.messages)))] if talk else []),
        *([line for role in roles for line in _by(role, figures)] if len(roles) > 1 else []),
        ("all tokens", tokens("total")),
        ("  as published:rewoo sums them", each(lambda f: f"{f.published:,}")),
        *_activated(figures),
        ("calls", each(lambda f: f"{f.calls:,}")),
        ("steps a question", each(lambda f: f"{f.steps:.1f}")),
        ("seconds a question", each(lambda f: f"{f.seconds:.1f}")),
        *((f"output {name}", [_number(f.outputs.get(name)) for f in figures]) for name in numbers),
    ]
    for name, field in (("failed", "failed"), ("ended by a budget", "budget"), ("server did not answer", "unserved")):
        if name == "failed" or any(getattr(f, field) for f in figures):
            found.append((name, each(lambda f, field=field: f"{getattr(f, field):,}")))  # type: ignore[misc]  # mypy: a default argument in a lambda
    if any(f.avoided for f in figures):
        found.append(("tokens avoided by reuse", each(lambda f: f"{f.avoided:,}")))
    if len(figures) > 1:
        found.append((f"against {figures[0].flow}, paired", each(lambda f: f"{f.versus.n:,}" if f.versus else "")))
        found.append((f"  {measure.exact}", each(lambda f: _percent(f.versus.em, signed=True) if f.versus else "")))
        if measure.partial:
            found.append(
                (f"  {measure.partial}", each(lambda f: _percent(f.versus.f1, signed=True) if f.versus else ""))
            )
        found.append(("  tokens a question", each(lambda f: _whole(f.versus.tokens, signed=True) if f.versus else "")))
        found.append(("  tokens, ratio", each(lambda f: _times(f.versus.ratio) if f.versus else "")))
        if talk:
            found.append(("  prompt tokens, ratio", each(lambda f: _times(f.versus.prompt) if f.versus else "")))
            found.append(("  message tokens, ratio", each(lambda f: _times(f.versus.messages) if f.versus else "")))
    return found


def _by(role: str, figures: Sequence[FlowFigures]) -> list[Line]:
    """What one role did: the tokens it had to compute of prompts, and those it wrote."""
    done = [f.roles.get(role, Tokens()) if f.roles else None for f in figures]
    return [
        (f"  prompt tokens computed by {role}", [_least(tokens, "read") for tokens in done]),
        (f"  completion tokens of {role}", [_least(tokens, "generated") for tokens in done]),
    ]


def _least(tokens: Tokens | None, field: str) -> str:
    """A number of tokens, which is the least where a server did not say; nothing where no role is told."""
    return "" if tokens is None else f"{'≥ ' if tokens.unsaid else ''}{getattr(tokens, field):,}"


def _activated(figures: Sequence[FlowFigures]) -> list[Line]:
    """Parameters a token of the answers; nothing where no flow says how many its models have."""

    def billions(cell: Callable[[Activated], float | None]) -> list[str]:
        found = [(f.activated, None if f.activated is None else cell(f.activated)) for f in figures]
        return [
            "" if of is None or number is None else f"{'≥ ' if of.lower_bound else ''}{number / 1e9:.2f}B"
            for of, number in found
        ]

    if all(f.activated is None for f in figures):
        return []
    return [
        ("activated parameters a token, as published", billions(lambda activated: activated.as_published)),
        ("  with everything that was computed", billions(lambda activated: activated.everything)),
    ]


def rich_table(figures: Sequence[FlowFigures], title: str | None = None) -> Table:
    """For a terminal."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("")
    for of_flow in figures:
        table.add_column(Text(of_flow.flow), justify="right")
    for name, cells in lines(figures):
        table.add_row(Text(name), *map(Text, cells))
    return table


def text_table(figures: Sequence[FlowFigures]) -> str:
    """For a pipe or a log."""
    rows: list[Line] = [("", [of_flow.flow for of_flow in figures]), *lines(figures)]
    first = max(len(name) for name, _ in rows)
    widths = [max(len(cells[i]) for _, cells in rows) for i in range(len(figures))]
    return "\n".join(
        f"{name:<{first}}  " + "  ".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))
        for name, cells in rows
    )


def as_data(comparison: Comparison, provenance: Provenance) -> dict[str, Any]:
    """Everything, for `--json`."""
    return {
        "provenance": msgspec.to_builtins(provenance),
        "items": comparison.items,
        "resumed": comparison.resumed,
        "error": None if comparison.error is None else str(comparison.error),
        "figures": msgspec.to_builtins(comparison.figures),
        "rows": msgspec.to_builtins(comparison.rows),
    }


def markdown(comparison: Comparison, provenance: Provenance, problems: Sequence[str] = ()) -> str:
    """A document that can be kept: what was run, where, with what, and what came out."""
    figures = comparison.figures
    parts = [
        f"# {', '.join(comparison.names)} on {provenance.data}",
        f"Generated by `laconic compare` on {provenance.date}; nothing in it was typed by hand.",
        f"```sh\n{shlex.join(provenance.command)}\n```",
        "| | "
        + " | ".join(_cell(f.flow) for f in figures)
        + " |\n|---|"
        + "---:|" * len(figures)
        + "\n"
        # The table's indentation says what belongs together; Markdown would swallow plain spaces.
        + "\n".join(
            f"| {_cell(name).replace('  ', '&nbsp;&nbsp;')} | {' | '.join(map(_cell, cells))} |"
            for name, cells in lines(figures)
        ),
        _method(_measure(figures)),
        *_how_fast(comparison),
        *origin(provenance),
    ]
    notes = [f"- left out, {problem}" for problem in problems]
    if comparison.error is not None:
        notes.append(f"- ended early: {comparison.error}")
    notes += [f"- {row.flow}, item {row.id}: {row.status}: {row.error}" for row in comparison.rows if row.error]
    if notes:
        shown = notes[:20]
        if len(notes) > len(shown):
            shown.append(f"- and {len(notes) - len(shown)} more")
        parts += ["## What went wrong", "\n".join(note.replace("\n", " ").replace("<", "&lt;") for note in shown)]
    return "\n\n".join(parts) + "\n"


def _how_fast(comparison: Comparison) -> list[str]:
    rows = speed(comparison.rows)
    return [f"## How fast\n\n{ABOUT}\n\n{_grid(SPEED, rows)}"] if rows else []


def origin(provenance: Provenance) -> list[str]:
    """The parts of a document that say where its figures were measured, and with which models."""
    return [
        "## Where it ran",
        "\n".join(f"- {name}: {value}" for name, value in provenance.facts()),
        f"## Models\n\n{_grid(MODELS, [model.cells() for model in provenance.models])}",
    ]


def _grid(columns: Mapping[str, str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown; `columns`: their titles, and how they are aligned."""
    head, *body = (f"| {' | '.join(map(_cell, row))} |" for row in (columns, *rows))
    return "\n".join([head, f"|{'|'.join(columns.values())}|", *body])


def _measure(figures: Sequence[FlowFigures]) -> Measure:
    """What the flows of a comparison are measured by: all by the same."""
    return MEASURES[figures[0].score] if figures else TEXT


def _method(measure: Measure) -> str:
    return METHOD.format(exact=measure.exact, method=measure.method, draws=RESAMPLES)


def mark(figures: FlowFigures, field: str) -> str:
    """`≥ ` before a lower bound, `≈ ` before a figure that is estimated in part."""
    if figures.at_least(field):
        return "≥ "
    return "≈ " if figures.estimated else ""


def _percent(measured: Measured, signed: bool = False) -> str:
    sign = "+" if signed else ""
    low, high = measured.interval
    return f"{100 * measured.value:{sign}.1f} % [{100 * low:{sign}.1f}, {100 * high:{sign}.1f}]"


def _whole(measured: Measured, signed: bool = False) -> str:
    sign = "+" if signed else ""
    low, high = measured.interval
    return f"{measured.value:{sign},.0f} [{low:{sign},.0f}, {high:{sign},.0f}]"


def _number(measured: Measured | None) -> str:
    if measured is None:
        return ""
    low, high = measured.interval
    return f"{measured.value:.3g} [{low:.3g}, {high:.3g}]"


def _times(measured: Measured | None) -> str:
    if measured is None:
        return ""
    digits = 2 if measured.value >= 0.1 else 4
    value, (low, high) = measured.value, measured.interval
    return f"{value:.{digits}f}x [{low:.{digits}f}, {high:.{digits}f}]"


def _ratio_of(figures: FlowFigures, value: float | None) -> str:
    return "none" if value is None else f"{mark(figures, 'total')}{value:,.0f}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
