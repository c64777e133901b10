"""Comparing: flows on the same items from the command line, for a comparison and for what is learned from one."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import typer

from ..accounting.audit import Audit
from ..errors import BackendUnreachable, InputError
from ..evals.comparison import Comparison, leave_out_unfit
from ..evals.comparison import compare as run_comparison
from ..evals.contestant import Contestant, contestants
from ..evals.data import Data, read_items
from ..evals.provenance import Provenance, look_up
from ..evals.rows import Row
from ..evals.scoring import LabelScorer, Measure, NumberScorer, Scorer, TextScorer
from ..evals.sql_data import databases_beside, read_sql_items
from ..evals.sql_scorer import BirdScorer, SpiderScorer
from ..orchestrator import Flow, Runtime
from ..orchestrator.queueing import Order
from .errors import FAILED, STOPPED, say
from .options import Score, load_flows, model_specs, pairs, preflight, tell_problems, variant_of, with_models
from .records import Records
from .stopping import run_to_the_end
from .storage import opened, store_path


@dataclass(frozen=True, kw_only=True)
class Comparing:
    """The options that say which flows are compared, on what, and how."""

    flows: Sequence[Path]
    data: Path
    limit: int | None
    of_each: int | None
    score: Score
    databases: Path | None
    model: Sequence[str] | None
    change: Sequence[str] | None
    store: Path | None
    results: Path | None
    items_at_once: int | None
    item_by_item: bool = False
    order: Order
    gold: str = "answer"
    gold_name: Sequence[str] | None = None
    variant: Sequence[str] | None = None

    def run(self, *, wants_provenance: bool) -> Compared:
        """Ask every flow every item that has no row yet. Raises InputError before a token is spent.

        `wants_provenance`: also collect what a report says of models and machine, which takes seconds.
        """
        named = self._flows()
        loaded = with_models([flow for _, flow in named], model_specs(self.model))
        given = [(name, flow) for (name, _), flow in zip(named, loaded, strict=True)]
        entrants = contestants(given, as_given=bool(self.variant))
        scorer = self._scorer()
        read = read_sql_items if self.score in ("sql-spider", "sql-bird") else read_items
        items = read(self.data, self.limit)
        if self.of_each is not None:
            items.keep_of_each(self.of_each)
        run_to_the_end(leave_out_unfit(entrants, items, scorer))
        tell_problems(items)
        comparison, provenance = self._answers(entrants, items, scorer, wants_provenance)
        return Compared(comparison, provenance, items, self.results)

    def _flows(self) -> list[tuple[str, Flow]]:
        """The flows by name: each file, or the variants of the only one."""
        if not self.variant:
            flows = load_flows(self.flows, self.change)
            return [(path.stem, flow) for path, flow in zip(self.flows, flows, strict=True)]
        if len(self.flows) > 1:
            raise InputError("--variant is about one flow file; name only that")
        named = dict(variant_of(text) for text in self.variant)
        if len(named) < len(self.variant):
            raise InputError("two --variant have the same name")
        return [(name, load_flows(self.flows, self._changes(changes))[0]) for name, changes in named.items()]

    def _changes(self, own: Sequence[str]) -> list[str]:
        """The `--set` changes and those of a variant, which come before them."""
        changed = {change.partition("=")[0] for change in own}
        return [*(change for change in self.change or () if change.partition("=")[0] not in changed), *own]

    def _scorer(self) -> Scorer:
        if self.databases is not None and not self.score.startswith("sql-"):
            raise InputError("--databases is read with --score sql-spider or sql-bird only")
        if self.score != "label" and (self.gold != "answer" or self.gold_name):
            raise InputError("--gold and --gold-name are read with --score label only")
        if self.score == "label":
            return LabelScorer(self.gold, pairs(self.gold_name, "--gold-name"))
        if self.score == "text":
            return TextScorer()
        if self.score == "number":
            return NumberScorer()
        there = self.databases or databases_beside(self.data)
        if there is None:
            raise InputError(f"--score {self.score} needs --databases, the folder with NAME.sqlite or NAME/NAME.sqlite")
        return SpiderScorer(there) if self.score == "sql-spider" else BirdScorer(there)

    def _answers(
        self, entrants: Sequence[Contestant], items: Data, scorer: Scorer, wants_provenance: bool
    ) -> tuple[Comparison, Provenance | None]:
        async def everything() -> tuple[Comparison, Provenance | None]:
            reuse = self.store is not None
            # What a flow costs must not depend on what was found out before it.
            runtime = Runtime(
                ledger=ledger, store=answers, reuse=reuse, order=self.order, on_open=audit.include, findings=False
            )
            async with runtime, audit:
                await preflight([entrant.flow for entrant in entrants], runtime)
                comparison = await run_comparison(
                    entrants,
                    items,
                    runtime,
                    scorer=scorer,
                    results=self.results,
                    at_once=self.items_at_once or 1,
                    item_by_item=self.item_by_item,
                    on_start=records.start,
                    on_row=progress.row,
                )
                if not wants_provenance:
                    return comparison, None
                command = ["laconic", *sys.argv[1:]]
                return comparison, await look_up(entrants, runtime, command=command, data=items.path)

        with ExitStack() as stack:
            ledger, answers, database = stack.enter_context(opened(store_path(self.store)))
            audit = Audit(ledger)
            records = stack.enter_context(Records(database, items.path, audit))
            progress = _Progress(len(entrants) * len(items.items), scorer.measure)
            try:
                outcome = run_to_the_end(everything())
                records.status = "failed" if outcome[0].error is not None else "ok"
                return outcome
            except KeyboardInterrupt:
                kept = f"; what is finished is in {self.results}: the same command goes on from there"
                say(f"stopped after {progress.done} of {progress.all}{kept if self.results else ''}")
                raise typer.Exit(STOPPED) from None


@dataclass(frozen=True)
class Compared:
    """What came of it."""

    comparison: Comparison
    provenance: Provenance | None
    items: Data
    results: Path | None

    def say_how_it_ended(self) -> int:
        """Say on stderr what is missing; returns the exit status."""
        comparison = self.comparison
        again = (
            "run the same command again to go on" if self.results else "name a file with --results to be able to go on"
        )
        if comparison.resumed:
            say(f"{comparison.resumed} rows were in {self.results} already")
        if comparison.error is not None:
            what = "the server went away" if isinstance(comparison.error, BackendUnreachable) else "it ended early"
            say(f"error: {what} after {len(comparison.rows)} rows: {comparison.error}; {again}")
            return FAILED
        unserved = sum(not row.answered for row in comparison.rows)
        if unserved:
            say(f"{unserved} rows are without an answer because the server failed; they count as wrong; {again}")
        return 0


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
