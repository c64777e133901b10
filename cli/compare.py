"""`laconic compare`: several flows on the same questions, tokens beside accuracy."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Literal

import typer

from ..accounting.audit import Audit
from ..errors import BackendUnreachable, InputError
from ..evals.comparison import Comparison, leave_out_unfit
from ..evals.comparison import compare as run_comparison
from ..evals.contestant import Contestant, contestants
from ..evals.data import Data, read_items
from ..evals.provenance import Provenance, look_up
from ..evals.report import as_data, markdown
from ..evals.rows import Row
from ..evals.scoring import Measure, Scorer, TextScorer
from ..evals.sql_data import databases_beside, read_sql_items
from ..evals.sql_scorer import BirdScorer, SpiderScorer
from ..orchestrator import Runtime
from ..orchestrator.queueing import Order
from .errors import FAILED, STOPPED, say
from .options import (
    AtOnceOption,
    LimitOption,
    ModelOption,
    OfEachOption,
    OrderOption,
    SetOption,
    StoreOption,
    load_flows,
    model_specs,
    preflight,
    tell_problems,
    with_models,
)
from .records import Records
from .stopping import run_to_the_end
from .storage import opened, store_path
from .tables import show_comparison

Score = Literal["text", "sql-spider", "sql-bird"]


def compare(
    flows: Annotated[list[Path], typer.Argument(metavar="FLOW...", help="Flow files; the first is the baseline.")],
    data: Annotated[
        Path, typer.Option("--data", metavar="FILE.jsonl", help="Items: inputs of the flows and `answer`, or `sql`.")
    ],
    limit: LimitOption = None,
    of_each: OfEachOption = None,
    score: Annotated[
        Score,
        typer.Option(
            "--score",
            help="Judge answers as text (exact match, F1), or as SQL by what it gives, with Spider's or BIRD's rules.",
        ),
    ] = "text",
    databases: Annotated[
        Path | None,
        typer.Option("--databases", metavar="DIR", help="SQL: the folder with NAME.sqlite or NAME/NAME.sqlite."),
    ] = None,
    model: ModelOption = None,
    change: SetOption = None,
    store: StoreOption = None,
    results: Annotated[
        Path | None,
        typer.Option("--results", metavar="ROWS.jsonl", help="Keep a row for each flow and item; go on where it ends."),
    ] = None,
    report: Annotated[Path | None, typer.Option("--report", metavar="FILE.md", help="Write a report.")] = None,
    items_at_once: AtOnceOption = None,
    order: OrderOption = "prefix",
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Run several flows on the same items, and show accuracy and tokens with intervals, against the first flow.

    With --results a comparison that was stopped goes on where it was.
    """
    loaded = with_models(load_flows(flows, change), model_specs(model))
    entrants = contestants([(path.stem, flow) for path, flow in zip(flows, loaded, strict=True)])
    scorer = _scorer(score, databases, data)
    items = read_items(data, limit) if score == "text" else read_sql_items(data, limit)
    if of_each is not None:
        items.keep_of_each(of_each)
    run_to_the_end(leave_out_unfit(entrants, items, scorer))
    tell_problems(items)
    if report is not None and not report.parent.is_dir():
        raise InputError(f"there is no folder {str(report.parent)!r} for the report")
    comparison, provenance = _run(
        entrants, items, scorer, store, results, items_at_once or 1, order, bool(report or as_json)
    )
    if report is not None and provenance is not None:
        report.write_text(markdown(comparison, provenance, [str(p) for p in items.problems]), encoding="utf-8")
    if as_json and provenance is not None:
        sys.stdout.write(json.dumps(as_data(comparison, provenance), ensure_ascii=False, indent=2) + "\n")
    else:
        show_comparison(comparison.figures)
    raise typer.Exit(_say_how_it_ended(comparison, results))


def _scorer(score: Score, databases: Path | None, data: Path) -> Scorer:
    if score == "text":
        if databases is not None:
            raise InputError("--databases is read with --score sql-spider or sql-bird only")
        return TextScorer()
    there = databases or databases_beside(data)
    if there is None:
        raise InputError(f"--score {score} needs --databases, the folder with NAME.sqlite or NAME/NAME.sqlite")
    return SpiderScorer(there) if score == "sql-spider" else BirdScorer(there)


def _run(
    entrants: Sequence[Contestant],
    items: Data,
    scorer: Scorer,
    store: Path | None,
    results: Path | None,
    at_once: int,
    order: Order,
    wants_provenance: bool,
) -> tuple[Comparison, Provenance | None]:
    async def everything() -> tuple[Comparison, Provenance | None]:
        async with (
            Runtime(
                ledger=ledger, store=answers, reuse=store is not None, order=order, on_open=audit.include
            ) as runtime,
            audit,
        ):
            await preflight([entrant.flow for entrant in entrants], runtime)
            comparison = await run_comparison(
                entrants,
                items,
                runtime,
                scorer=scorer,
                results=results,
                at_once=at_once,
                on_start=records.start,
                on_row=progress.row,
            )
            if not wants_provenance:
                return comparison, None
            return comparison, await look_up(entrants, runtime, command=["laconic", *sys.argv[1:]], data=items.path)

    with ExitStack() as stack:
        ledger, answers, database = stack.enter_context(opened(store_path(store)))
        audit = Audit(ledger)
        records = stack.enter_context(Records(database, items.path, audit))
        progress = _Progress(len(entrants) * len(items.items), scorer.measure)
        try:
            outcome = run_to_the_end(everything())
            records.status = "failed" if outcome[0].error is not None else "ok"
            return outcome
        except KeyboardInterrupt:
            kept = f"; what is finished is in {results}: the same command goes on from there" if results else ""
            say(f"stopped after {progress.done} of {progress.all}{kept}")
            raise typer.Exit(STOPPED) from None


class _Progress:
    """A line a row on stderr."""

    def __init__(self, all_rows: int, measure: Measure) -> None:
        self.all, self.done, self.measure = all_rows, 0, measure

    def row(self, row: Row, fresh: bool) -> None:
        """One more is finished."""
        self.done += 1
        if fresh:
            ended = "" if row.status == "ok" else f", {row.status}: {row.error.splitlines()[0] if row.error else ''}"
            partial = f", {self.measure.partial} {row.f1:.2f}" if self.measure.partial else ""
            say(
                f"{self.done}/{self.all} {row.flow} {row.id}: {self.measure.exact} {row.em:.0f}{partial}, "
                f"{row.total:,} tokens, {row.calls} calls, {row.seconds:.1f} s{ended}"
            )


def _say_how_it_ended(comparison: Comparison, results: Path | None) -> int:
    again = "run the same command again to go on" if results else "name a file with --results to be able to go on"
    if comparison.resumed:
        say(f"{comparison.resumed} rows were in {results} already")
    if comparison.error is not None:
        what = "the server went away" if isinstance(comparison.error, BackendUnreachable) else "it ended early"
        say(f"error: {what} after {len(comparison.rows)} rows: {comparison.error}; {again}")
        return FAILED
    unserved = sum(not row.answered for row in comparison.rows)
    if unserved:
        say(f"{unserved} rows are without an answer because the server failed; they count as wrong; {again}")
    return 0
