"""`laconic ledger`: the bill of a run."""

from __future__ import annotations

import csv
import json
import sys
from enum import StrEnum
from typing import Annotated

import typer

from ..accounting.ledger import Ledger
from ..accounting.totals import Total
from ..errors import InputError
from .costs import show_activated, show_runtimes
from .options import StoreOption
from .storage import existing, find_run
from .tables import show_table, totals_as_data

HEAD = ("prompt", "of it cached", "completion", "total", "calls", "seconds", "avoided")


class By(StrEnum):
    """What a bill can be grouped by."""

    node = "node"
    purpose = "purpose"
    model = "model"
    agent = "agent"
    status = "status"
    item = "item"
    served = "served"


def ledger(
    run: Annotated[str, typer.Argument(metavar="[RUN]", help="A run's id, or the beginning of it.")] = "last",
    by: Annotated[By, typer.Option("--by", help="What to group by.")] = By.node,
    runtimes: Annotated[
        list[str] | None,
        typer.Option(
            "--runtimes",
            metavar="[ROLE=]FILE",
            help="Idealized seconds instead of tokens, from a file of `laconic calibrate` for each model.",
        ),
    ] = None,
    activated: Annotated[
        bool, typer.Option("--activated", help="Activated parameters and FLOPs instead, role by role.")
    ] = False,
    parameters: Annotated[
        list[str] | None,
        typer.Option(
            "--parameters", metavar="ROLE=NUMBER", help="With --activated: parameters of a model, such as 1.5B."
        ),
    ] = None,
    router_parameters: Annotated[
        str,
        typer.Option(
            "--router-parameters",
            metavar="NUMBER",
            help="With --activated: parameters of a router that looks at every token of calls with the purpose draft.",
        ),
    ] = "",
    store: StoreOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
) -> None:
    """Print the bill of a run: every token, and whose it is. Without RUN, of the last one.

    A figure with ≥ is a lower bound, because a server did not say; one with ≈ is estimated in part. `avoided` are
    tokens of answers that were there already.

    With --runtimes, seconds that the calls take alone on a calibrated machine: their sum, and the longest chain of
    calls that began one after the other had ended. With --activated, what went through each model; files of --runtimes
    then only say how many parameters their models have.
    """
    if as_json and as_csv:
        raise InputError("--json and --csv exclude each other")
    if as_csv and (runtimes or activated):
        raise InputError("--csv prints tokens; leave it out with --runtimes and --activated")
    if (parameters or router_parameters) and not activated:
        raise InputError("--parameters and --router-parameters go with --activated")
    with existing(store) as database:
        record = find_run(database, run)
        book = Ledger.load(database.path, record.run)
    if activated:
        show_activated(book, record, parameters or (), runtimes or (), router_parameters, as_json=as_json)
        return
    if runtimes:
        show_runtimes(book, record, by.value, runtimes, as_json=as_json)
        return
    groups = book.by(by.value)
    total = book.total()
    if as_json:
        found = {
            "run": record.run,
            "by": by.value,
            "groups": {name: totals_as_data(of) for name, of in groups.items()},
            "total": totals_as_data(total),
        }
        sys.stdout.write(json.dumps(found, ensure_ascii=False, indent=2) + "\n")
    elif as_csv:
        _write_csv(by.value, groups)
    else:
        show_bill(by.value, groups, total)


def show_bill(by: str, groups: dict[str, Total], total: Total) -> None:
    """The bill as a table, with the total under it."""
    rows = [[name or "(none)", *cells(of)] for name, of in groups.items()]
    show_table((by, *HEAD), rows, foot=("total", *cells(total)))


def cells(total: Total) -> list[str]:
    """The figures of one line of the bill."""
    avoided = Total(
        prompt=total.avoided_prompt,
        completion=total.avoided_completion,
        unknown={name: 1 for name in ("prompt", "completion") if total.at_least(f"avoided_{name}")},
    )
    return [
        total.show("prompt"),
        total.show("cache_read"),
        total.show("completion"),
        total.show("total"),
        f"{total.sent:,}",
        f"{total.seconds:,.1f}",
        avoided.show("total") if total.replayed else "",
    ]


def _write_csv(by: str, groups: dict[str, Total]) -> None:
    names = ("prompt", "cached", "completion", "total", "calls", "replayed", "seconds", "avoided", "estimated")
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow((by, *names, "lower_bounds"))
    for name, of in groups.items():
        found = totals_as_data(of)
        bounds = [field for field in ("prompt", "cache_read", "completion") if of.at_least(field)]
        writer.writerow((name, *(found[field] for field in names), " ".join(bounds)))
