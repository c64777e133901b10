"""`laconic compare`: several flows on the same questions, tokens beside accuracy."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from ..errors import InputError
from ..evals.report import as_data, markdown
from .comparing import Comparing
from .options import (
    AtOnceOption,
    DatabasesOption,
    GoldNameOption,
    GoldOption,
    ItemByItemOption,
    LimitOption,
    ModelOption,
    OfEachOption,
    OrderOption,
    ResultsOption,
    ScoreOption,
    SetOption,
    StoreOption,
    VariantOption,
)
from .tables import show_comparison


def compare(
    flows: Annotated[list[Path], typer.Argument(metavar="FLOW...", help="Flow files; the first is the baseline.")],
    data: Annotated[
        Path, typer.Option("--data", metavar="FILE.jsonl", help="Items: inputs of the flows and `answer`, or `sql`.")
    ],
    limit: LimitOption = None,
    of_each: OfEachOption = None,
    score: ScoreOption = "text",
    databases: DatabasesOption = None,
    model: ModelOption = None,
    change: SetOption = None,
    variant: VariantOption = None,
    gold: GoldOption = "answer",
    gold_name: GoldNameOption = None,
    store: StoreOption = None,
    results: ResultsOption = None,
    report: Annotated[Path | None, typer.Option("--report", metavar="FILE.md", help="Write a report.")] = None,
    items_at_once: AtOnceOption = None,
    item_by_item: ItemByItemOption = False,
    order: OrderOption = "prefix",
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Run several flows on the same items, and show accuracy and tokens with intervals, against the first flow.

    With --results a comparison that was stopped goes on where it was. A flow whose input is a list that no item has a
    field for is asked all items at once, and each gets its share of what they cost.
    """
    if report is not None and not report.parent.is_dir():
        raise InputError(f"there is no folder {str(report.parent)!r} for the report")
    compared = Comparing(
        flows=flows,
        data=data,
        limit=limit,
        of_each=of_each,
        score=score,
        databases=databases,
        model=model,
        change=change,
        store=store,
        results=results,
        items_at_once=items_at_once,
        item_by_item=item_by_item,
        order=order,
        gold=gold,
        gold_name=gold_name,
        variant=variant,
    ).run(wants_provenance=bool(report or as_json))
    comparison, provenance = compared.comparison, compared.provenance
    if report is not None and provenance is not None:
        problems = [str(problem) for problem in compared.items.problems]
        report.write_text(markdown(comparison, provenance, problems), encoding="utf-8")
    if as_json and provenance is not None:
        sys.stdout.write(json.dumps(as_data(comparison, provenance), ensure_ascii=False, indent=2) + "\n")
    else:
        show_comparison(comparison.figures)
    raise typer.Exit(compared.say_how_it_ended())
