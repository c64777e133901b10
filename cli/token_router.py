"""`laconic token-router`: networks that say which tokens of a small model a large one should write."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from ..accounting.budget import Budget
from ..errors import InputError, LaconicError
from ..evals.data import read_items
from ..routers.token_judges import Judge
from .asking import BudgetOption, InputOption, asked
from .errors import guarded, say
from .options import AtOnceOption, LimitOption, ModelOption, OrderOption, SetOption, StoreOption, tell_problems
from .storage import opened, store_path
from .tables import show_table
from .token_labelling import Labelling, LabelSession

app = typer.Typer(
    help="Train networks that decide for each token of a small model whether a large one writes it.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

LabelsArgument = Annotated[Path, typer.Argument(metavar="LABELS", help="The folder that `label` filled.")]


@app.command("label")
@guarded
def label_tokens(
    flow: Annotated[
        Path, typer.Argument(metavar="FLOW", help="A flow file with a `kind: token_route`: its prompt and its models.")
    ],
    data: Annotated[
        Path, typer.Option("--data", metavar="FILE.jsonl", help="The questions; fields of a line are inputs.")
    ],
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="The folder of labels, a file for each question.")],
    node: Annotated[str, typer.Option("--node", metavar="NAME", help="Which node, if several are token_route.")] = "",
    judge: Annotated[
        Judge,
        typer.Option(
            "--judge",
            help="Who says whether a token matters: the same numbers or words to the end of the sentence; the large "
            "model; or the answers it leads to.",
        ),
    ] = "exact",
    most: Annotated[
        int, typer.Option("--most", min=1, metavar="N", help="Mismatches judged of a question; drawn if more.")
    ] = 40,
    sentence_tokens: Annotated[
        int, typer.Option("--sentence-tokens", min=2, metavar="N", help="Most tokens to the end of a sentence.")
    ] = 64,
    seed: Annotated[int, typer.Option("--seed", help="What decides which mismatches are drawn.")] = 0,
    input: InputOption = None,
    limit: LimitOption = None,
    model: ModelOption = None,
    change: SetOption = None,
    budget_tokens: BudgetOption = None,
    store: StoreOption = None,
    items_at_once: AtOnceOption = None,
    order: OrderOption = "prefix",
) -> None:
    """Find out which of the small model's tokens would lead the large one's answers elsewhere.

    The large model answers each question; the small one reads the answer; where it would have chosen another token the
    large one goes on from that. Questions that are in the folder already are not asked again, so the same command goes
    on after it was stopped.
    """
    require_hf()
    job = asked(flow, input, model, change, "run")
    labelling = Labelling(to, judge, most, sentence_tokens, seed)
    job.flow = labelling.flow_for(job.flow, node)
    job.data, job.limit, job.at_once = data, limit, items_at_once
    if budget_tokens is not None:
        job.budget = Budget(tokens=budget_tokens)
    ready = job.ready
    items = read_items(data, limit)
    items.require(lambda item: job.complaint(item.fields))
    tell_problems(items)
    with ExitStack() as stack:
        ledger, answers, database = stack.enter_context(opened(store_path(store)))
        session = LabelSession(job, ready, ledger, answers, database, store, None, order)
        status = session.over(items, as_json=False)
    show_table(*labelling.table())
    raise typer.Exit(status)


@app.command("train")
@guarded
def train_token_router(
    labels: LabelsArgument,
    out: Annotated[Path, typer.Option("--out", metavar="FILE.safetensors", help="The router file to write.")],
    recall: Annotated[
        float,
        typer.Option(
            "--recall", min=0.01, max=1, help="Share of the divergent tokens that are to be above the threshold."
        ),
    ] = 0.95,
    width: Annotated[int, typer.Option("--width", min=1, help="Of its blocks.")] = 1024,
    blocks: Annotated[int, typer.Option("--blocks", min=0, help="How many blocks.")] = 6,
    expansion: Annotated[int, typer.Option("--expansion", min=1, help="How much wider a block is inside.")] = 4,
    epochs: Annotated[int, typer.Option("--epochs", min=1, help="Most passes over the labels.")] = 50,
    patience: Annotated[
        int, typer.Option("--patience", min=1, help="Epochs without a lower loss after which it ends.")
    ] = 10,
    batch: Annotated[int, typer.Option("--batch", min=1, help="Tokens of a step.")] = 1024,
    rate: Annotated[float, typer.Option("--rate", min=0, help="Learning rate.")] = 5e-5,
    decay: Annotated[float, typer.Option("--decay", min=0, help="Weight decay.")] = 5e-4,
    held_out: Annotated[
        float, typer.Option("--held-out", min=0.01, max=0.5, help="Share of the questions that it is judged by.")
    ] = 0.2,
    seed: Annotated[int, typer.Option("--seed", help="Of the division, the first weights and the order.")] = 0,
) -> None:
    """Learn from labels which tokens lead elsewhere. No model is asked; sizes and rates are R2R's."""
    require_hf()
    from ..backends.transformers.labels import DIVERGENT, load_labels
    from ..backends.transformers.router import save_router
    from ..backends.transformers.router_training import Epoch, Training, train

    if not out.parent.is_dir():
        raise InputError(f"there is no folder {str(out.parent)!r} for the router")
    if out.is_dir():
        raise InputError(f"{str(out)!r} is a folder; --out names the router's file")
    labelled = load_labels(labels)
    how = Training(
        width=width,
        blocks=blocks,
        expansion=expansion,
        recall=recall,
        epochs=epochs,
        patience=patience,
        batch=batch,
        rate=rate,
        decay=decay,
        held_out=held_out,
        seed=seed,
    )
    divergent = int((labelled.label == DIVERGENT).sum())
    say(f"{len(labelled.label):,} tokens of {len(labelled.questions):,} questions, {divergent:,} divergent")

    def tell(epoch: Epoch) -> None:
        say(f"epoch {epoch.number}: loss {epoch.learned:.4f}, held out {epoch.held_out:.4f}")

    network, about = train(labelled, how, tell)
    save_router(out, network, about)
    say(
        f"{about.shape.parameters:,} parameters; above {about.threshold:.4g} are {about.recall:.1%} of the divergent "
        f"tokens and {about.share:.1%} of all, in questions held out"
    )
    sys.stdout.write(f"{out}\n")


@app.command("eval")
@guarded
def judge_token_router(
    labels: LabelsArgument,
    router: Annotated[Path, typer.Option("--router", metavar="FILE.safetensors", help="The router to judge.")],
    at_share: Annotated[
        float | None,
        typer.Option(
            "--share",
            min=0,
            max=1,
            help="Compare where such a share of the tokens is above the threshold; else the share of the router's own. "
            "The thresholds are what `above` of a `token_route` takes.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON, the curves' points too.")] = False,
) -> None:
    """How well a router tells divergent tokens, beside entropy and margin on the same tokens. No model is asked.

    Questions that it was trained with, to learn from or to be judged by, are left out: label others, into a folder of
    their own.
    """
    require_hf()
    from ..backends.token_router import mismatch
    from ..backends.transformers.labels import load_labels
    from ..backends.transformers.router import load_network
    from ..backends.transformers.router_training import doubts
    from ..evals.token_routing import curves_table, judge_doubts, points_table, share_above, untrained

    labelled = load_labels(labels)
    network, about = load_network(router)
    first = labelled.questions[0]
    other = mismatch(about, vocabulary=first.vocabulary, small=first.small, large=first.large)
    if other:
        raise InputError(f"the router {str(router)!r} was trained with {other} than {str(labels)!r} was labelled with")
    fresh = labelled.without({*about.learned, *about.held_out})
    if not len(fresh.label):
        raise InputError(
            f"the router {str(router)!r} was trained with every question in {str(labels)!r}; label others, into a "
            "folder of their own"
        )
    measured = {"neural": doubts(network, fresh), **untrained(fresh)}
    share = share_above(measured["neural"], fresh, about.threshold)
    questions = len(set(fresh.question.tolist()))
    judged = judge_doubts(fresh, measured, share if at_share is None else at_share)
    if as_json:
        found = {
            "router": msgspec.to_builtins(msgspec.structs.replace(about, learned=(), held_out=())),
            "parameters": about.shape.parameters,
            "questions": questions,
            "tokens": len(fresh.label),
            "share": share,
            "measures": msgspec.to_builtins(judged),
        }
        sys.stdout.write(json.dumps(found, indent=2) + "\n")
        return
    say(
        f"{len(fresh.label):,} tokens of {questions:,} questions it was not trained with; above its threshold "
        f"{about.threshold:.4g} are {share:.1%} of them"
    )
    show_table(*points_table(judged))
    sys.stdout.write("\n")
    show_table(*curves_table(judged))


def require_hf() -> None:
    """Raises LaconicError without the extra `hf`, before anything is read or asked."""
    for package in ("safetensors", "torch"):
        try:
            import_module(package)
        except ImportError as error:
            raise LaconicError(
                f'a router of tokens needs {package}, which is not installed: pip install "laconic[hf]"'
            ) from error
