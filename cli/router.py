"""`laconic router`: routers that are trained on outcomes, and how good they are."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, get_args

import msgspec
import typer

from ..errors import InputError
from ..evals.routing import measure
from ..evals.routing_report import curves_table, differences_table, markdown, policies_table
from ..evals.routing_validation import Judged, cross_validate, judge
from ..orchestrator.registry import nearest
from ..routers.classifiers import Method
from ..routers.outcomes import Outcome, Unsolved, hash_of
from ..routers.router_file import load_router, save_router
from ..routers.trained import RECOVER, TrainedRouter, train
from .comparing import Comparing
from .errors import guarded, say
from .options import (
    AtOnceOption,
    DatabasesOption,
    LimitOption,
    ModelOption,
    OfEachOption,
    OrderOption,
    ResultsOption,
    ScoreOption,
    SetOption,
    StoreOption,
)
from .router_data import Source
from .tables import show_table

app = typer.Typer(
    help="Train routers on which tiers solved what, and judge them.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

DataOption = Annotated[
    Path | None,
    typer.Option("--data", metavar="FILE.jsonl", help="Outcomes; with --label or --rows, the items they are about."),
]
LabelOption = Annotated[
    str | None,
    typer.Option("--label", metavar="FIELD", help="The field that names the cheapest tier that was enough."),
]
TextOption = Annotated[str, typer.Option("--text", metavar="FIELD", help="The field with what was asked.")]
GroupOption = Annotated[
    str, typer.Option("--group", metavar="FIELD", help="The field that groups items, such as their database.")
]
FeatureOption = Annotated[
    list[str] | None,
    typer.Option("--feature", metavar="FIELD", help="A field that the router may look at beside the text."),
]
CostsOption = Annotated[
    str | None,
    typer.Option("--costs", metavar="TIER=TOKENS,...", help="The tiers from cheapest to dearest, and their tokens."),
]
RowsOption = Annotated[
    Path | None,
    typer.Option("--rows", metavar="ROWS.jsonl", help="Rows of `laconic compare --results`; each flow is a tier."),
]
TiersOption = Annotated[
    str,
    typer.Option(
        "--tiers",
        metavar="FLOW,...",
        help="Which flows are the tiers, from the cheapest to the dearest; the others are shown beside them.",
    ),
]
FromRunsOption = Annotated[
    bool, typer.Option("--from-runs", help="Learn from what cascades found out, as the ledger has it.")
]
UnsolvedOption = Annotated[
    Unsolved, typer.Option("--unsolved", help="Where a router is taught to send what no tier solves.")
]
EmbeddingsOption = Annotated[
    str, typer.Option("--embeddings", metavar="MODEL", help="Sentence embeddings too (sentence-transformers).")
]


@app.command("train")
@guarded
def train_router(
    out: Annotated[Path, typer.Option("--out", metavar="FILE.skops", help="The router file to write.")],
    data: DataOption = None,
    label: LabelOption = None,
    text: TextOption = "question",
    group: GroupOption = "",
    feature: FeatureOption = None,
    costs: CostsOption = None,
    rows: RowsOption = None,
    tiers: TiersOption = "",
    from_runs: FromRunsOption = False,
    store: StoreOption = None,
    method: Annotated[Method, typer.Option("--method", help="The classifier.")] = "logistic",
    unsolved: UnsolvedOption = "cheapest",
    embeddings: EmbeddingsOption = "",
) -> None:
    """Learn which tier is the cheapest that is enough. No model is asked."""
    source = Source(data, label, text, group, tuple(feature or ()), costs, rows, from_runs, store, _names(tiers))
    outcomes, _ = source.outcomes()
    router = train(outcomes, method=method, unsolved=unsolved, embeddings=embeddings)
    save_router(router, out)
    _tell(router, out)


@app.command("eval")
@guarded
def judge_router(
    flows: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[FLOW]...", help="Flow files to run on --data first: the tiers, and what to hold them against."
        ),
    ] = None,
    data: DataOption = None,
    label: LabelOption = None,
    text: TextOption = "question",
    group: GroupOption = "",
    feature: FeatureOption = None,
    costs: CostsOption = None,
    rows: RowsOption = None,
    tiers: TiersOption = "",
    from_runs: FromRunsOption = False,
    limit: LimitOption = None,
    of_each: OfEachOption = None,
    score: ScoreOption = "text",
    databases: DatabasesOption = None,
    model: ModelOption = None,
    change: SetOption = None,
    store: StoreOption = None,
    results: ResultsOption = None,
    items_at_once: AtOnceOption = None,
    order: OrderOption = "prefix",
    router: Annotated[
        list[Path] | None,
        typer.Option("--router", metavar="FILE.skops", help="Judge this router; else cross-validate by group."),
    ] = None,
    method: Annotated[
        list[str] | None, typer.Option("--method", metavar="METHOD", help="knn, logistic or boosting; repeatable.")
    ] = None,
    unsolved: Annotated[
        list[str] | None,
        typer.Option("--unsolved", metavar="WHERE", help="cheapest or dearest; repeatable. The oracle shows both."),
    ] = None,
    recover: Annotated[
        list[float] | None,
        typer.Option("--recover", min=0, max=1, help="Share of the dearest tier's gain to keep; repeatable."),
    ] = None,
    embeddings: EmbeddingsOption = "",
    cluster: Annotated[bool, typer.Option("--cluster", help="Intervals over groups instead of items.")] = False,
    report: Annotated[Path | None, typer.Option("--report", metavar="FILE.md", help="Write a report.")] = None,
    title: Annotated[str, typer.Option("--title", metavar="TEXT", help="Of the report.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON, the curves' points too.")] = False,
) -> None:
    """Accuracy and tokens of routers beside fixed tiers, chance at equal cost, and the oracle.

    Given flows, runs each of them on every item first, as `laconic compare` does; otherwise no model is asked.
    """
    if not flows and (limit or of_each or databases or model or change or results or items_at_once):
        raise InputError(
            "--limit, --of-each, --databases, --model, --set, --results and --items-at-once go with flows to run"
        )
    if flows and (label or costs or rows or from_runs):
        raise InputError("flows make the outcomes: leave --label, --costs, --rows and --from-runs out")
    if router and (method or unsolved or recover or embeddings):
        raise InputError(
            "--router judges a router as it is: leave --method, --unsolved, --recover and --embeddings out"
        )
    source = Source(data, label, text, group, tuple(feature or ()), costs, rows, from_runs, store, _names(tiers))
    if report is not None and not report.parent.is_dir():
        raise InputError(f"there is no folder {str(report.parent)!r} for the report")
    provenance = None
    if flows:
        if data is None:
            raise InputError("name the items that the flows are to answer with --data FILE")
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
            order=order,
        ).run(wants_provenance=report is not None)
        status = compared.say_how_it_ended()
        if status:
            raise typer.Exit(status)
        outcomes, others = source.of_rows(compared.comparison.rows, compared.items.items)
        provenance = compared.provenance
    else:
        outcomes, others = source.outcomes()
    if cluster and not any(outcome.group for outcome in outcomes):
        raise InputError("--cluster needs items with groups; name their field with --group")
    judged = (
        [_as_is(path, outcomes) for path in router]
        if router
        else [
            _unseen(outcomes, how, where, embeddings, recover or RECOVER)
            for how in _known(method or ["logistic"], get_args(Method), "--method")
            for where in _known(unsolved or ["cheapest"], get_args(Unsolved), "--unsolved")
        ]
    )
    routing = measure(outcomes, judged, others, clustered=cluster)
    if report is not None:
        command = ["laconic", *sys.argv[1:]]
        title = title or f"Routers on {source.name}"
        text_of_report = markdown(routing, title=title, command=command, provenance=provenance)
        report.write_text(text_of_report, encoding="utf-8")
    if as_json:
        sys.stdout.write(json.dumps(msgspec.to_builtins(routing), ensure_ascii=False, indent=2) + "\n")
        return
    show_table(*policies_table(routing))
    sys.stdout.write("\n")
    show_table(*differences_table(routing), left=2)
    if routing.curves:
        sys.stdout.write("\n")
        show_table(*curves_table(routing))
    else:
        say("the dearest tier is not more often right than the cheapest, or costs no more: there is no curve")


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _as_is(path: Path, outcomes: list[Outcome]) -> Judged:
    router = load_router(path)
    tiers = tuple(outcomes[0].right)
    if router.about.tiers != tiers:
        raise InputError(
            f"the router {str(path)!r} knows the tiers {', '.join(router.about.tiers)}; the outcomes have "
            f"{', '.join(tiers)}"
        )
    if router.about.data_sha256 == hash_of(outcomes):
        say(f"warning: {path} was trained on these very outcomes; what it says of them proves nothing")
    return judge(router, path.stem, outcomes)


def _unseen(outcomes: list[Outcome], method: str, unsolved: str, embeddings: str, recover: Sequence[float]) -> Judged:
    return cross_validate(
        outcomes,
        method=msgspec.convert(method, Method),
        unsolved=msgspec.convert(unsolved, Unsolved),
        embeddings=embeddings,
        recover=recover,
        on_part=lambda done, parts: say(f"{method}, unsolved to the {unsolved}: {done}/{parts}"),
    )


def _known(names: list[str], known: tuple[str, ...], option: str) -> list[str]:
    for name in names:
        if name not in known:
            raise InputError(f"{option} {name}: there is no such choice{nearest(name, list(known))}")
    return names


def _tell(router: TrainedRouter, path: Path) -> None:
    about = router.about
    labels = ", ".join(f"{tier} {number}" for tier, number in about.labels.items())
    say(f"{about.items} items: {labels}, unsolved {about.unsolved_items}")
    if router.classifier.features is None:
        only = about.tiers[router.classifier.only]
        say(f"warning: every item has the label {only!r}: there was nothing to learn, and the router always says that")
    for share, confidence in about.confidences.items():
        say(
            f"confidence: {confidence:.4f} keeps {float(share):.0%} of what {about.tiers[-1]} gains over "
            f"{about.tiers[0]}, on items held out"
        )
    sys.stdout.write(f"{path}\n")
