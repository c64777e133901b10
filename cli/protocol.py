"""`laconic protocol`: choose how a team talks, without training, and train on what was said, if that is wanted."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer

from ..accounting.audit import Audit
from ..errors import InputError
from ..evals.comparison import leave_out_unfit
from ..evals.data import Data, read_items
from ..evals.protocols.arms import Arm, Ways
from ..evals.protocols.export import LEAST_GAP, imitations, preferences, write_records
from ..evals.protocols.reader import find_reader
from ..evals.protocols.report import formula, markdown, spent_in_words, table
from ..evals.protocols.reward import Count, Weights
from ..evals.protocols.selection import Selection, select
from ..evals.protocols.training import Training, how_to_serve, train
from ..evals.scoring import TextScorer
from ..orchestrator import Flow, Runtime
from ..orchestrator.yaml_source import read_yaml
from .errors import FAILED, STOPPED, guarded, say
from .options import (
    LimitOption,
    ModelOption,
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
from .tables import show_table

app = typer.Typer(
    help="Choose how the agents of a flow talk, and train on what they said.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


@app.command("select")
@guarded
def select_protocol(
    flow: Annotated[Path, typer.Argument(metavar="FLOW", help="A flow file with one team in it.")],
    data: Annotated[
        Path, typer.Option("--data", metavar="FILE.jsonl", help="Items: inputs of the flow, and `answer`.")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="FLOW", help="Where the flow with the best way is written.")],
    protocol: Annotated[
        list[str] | None,
        typer.Option("--protocol", metavar="NAME", help="A protocol, or YAML with its kind and fields; repeatable."),
    ] = None,
    topology: Annotated[
        list[str] | None, typer.Option("--topology", metavar="KIND", help="A kind of team; repeatable.")
    ] = None,
    format: Annotated[
        list[str] | None,
        typer.Option(
            "--format", metavar="TEXT", help="Add this to the agents' instructions; repeatable, beside adding nothing."
        ),
    ] = None,
    rounds: Annotated[
        int | None, typer.Option("--rounds", min=1, metavar="N", help="Most items, in an order drawn once.")
    ] = None,
    conversations: Annotated[
        int, typer.Option("--conversations", min=1, metavar="N", help="Conversations an item and way.")
    ] = 1,
    lambda_tokens: Annotated[float, typer.Option("--lambda-tokens", min=0, help="What tokens weigh.")] = 0.6,
    lambda_readability: Annotated[
        float, typer.Option("--lambda-readability", min=0, help="What readability weighs.")
    ] = 1.0,
    count: Annotated[
        Count,
        typer.Option("--count", help="The tokens that count: all, or those of messages only, as published figures do."),
    ] = "all",
    reader: Annotated[
        str, typer.Option("--reader", metavar="ROLE", help="The flow's model that says how readable messages are.")
    ] = "",
    limit: LimitOption = None,
    model: ModelOption = None,
    change: SetOption = None,
    store: StoreOption = None,
    report: Annotated[Path | None, typer.Option("--report", metavar="FILE.md", help="Write a report.")] = None,
    export_sft: Annotated[
        Path | None,
        typer.Option("--export-sft", metavar="FILE.jsonl", help="Write what was said best, for TRL's SFTTrainer."),
    ] = None,
    export_pairs: Annotated[
        Path | None,
        typer.Option("--export-pairs", metavar="FILE.jsonl", help="Write better and worse, for TRL's DPOTrainer."),
    ] = None,
    least_gap: Annotated[
        float, typer.Option("--least-gap", min=0, help="How far apart the rewards of a pair must be.")
    ] = LEAST_GAP,
) -> None:
    """Let protocols, topologies and format prompts race over the items, and write the best into a flow.

    The same command with the same --store goes on where it was stopped: answers that are there are not asked again.
    """
    for path in filter(None, (out, report, export_sft, export_pairs)):
        if not path.parent.is_dir():
            raise InputError(f"there is no folder {str(path.parent)!r} for {path.name}")
        if path.is_dir():
            raise InputError(f"{str(path)!r} is a folder; name a file")
    (written,) = load_flows([flow], change)
    specs = model_specs(model)
    (asked,) = with_models([written], specs)
    models = {role: asked.models[role] for role in specs}
    ways = Ways([_protocol(text) for text in protocol or ()], topology or (), format or ())
    arms = ways.arms(written, models, conversations=conversations, beside=out.parent)
    items = read_items(data, limit)
    weights = Weights(tokens=lambda_tokens, readability=lambda_readability, count=count)
    run_to_the_end(leave_out_unfit([arm.contestant for arm in arms], items, TextScorer()))
    tell_problems(items)
    with ExitStack() as stack:
        ledger, answers, database = stack.enter_context(opened(store_path(store)))
        audit = Audit(ledger)
        records = stack.enter_context(Records(database, items.path, audit))
        runtime = Runtime(ledger=ledger, store=answers, reuse=store is not None, on_open=audit.include, findings=False)
        try:
            selection = run_to_the_end(_race(arms, asked, items, runtime, audit, records, weights, reader, rounds))
        except KeyboardInterrupt:
            total = ledger.total(run=[arm.contestant.run for arm in arms])
            again = "the same command goes on from there" if store else "name a file with --store to be able to go on"
            say(f"stopped; {total.show('total')} tokens were spent; {again}")
            raise typer.Exit(STOPPED) from None
        records.status = "failed" if selection.error else "ok"
        show_table(*table(selection))
        say(formula(selection))
        if selection.reader is None and lambda_readability:
            say("readability is left out: no server of the flow gives the logprobs of a prompt (vLLM does)")
        if report is not None:
            title = f"How {written.name} should talk on {items.path.name}"
            text = markdown(selection, ledger, title=title, command=["laconic", *sys.argv[1:]])
            _write(report, text)
        if export_sft is not None:
            said = write_records(imitations(selection.scored, answers), export_sft)
            say(f"{said} messages to imitate in {export_sft}")
        if export_pairs is not None:
            said = write_records(preferences(selection.scored, answers, least_gap=least_gap), export_pairs)
            say(f"{said} pairs in {export_pairs}")
        say(spent_in_words(selection, ledger))
    if selection.error:
        say(f"error: ended early, nothing is chosen: {selection.error}")
        raise typer.Exit(FAILED)
    _write(out, selection.chosen.flow.dump())
    undecided = [name for name in selection.race.running if name != selection.race.best]
    if undecided:
        say(f"not known to be worse after {selection.race.items} items: {', '.join(undecided)}")
    sys.stdout.write(f"{selection.chosen.name}: {out}\n")


@app.command("train")
@guarded
def train_speakers(
    model: Annotated[Path, typer.Option("--model", metavar="DIR", help="The model to adapt: a folder, safetensors.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The adapter's folder.")],
    sft: Annotated[
        Path | None, typer.Option("--sft", metavar="FILE.jsonl", help="Learn to say what was said (SFTTrainer).")
    ] = None,
    pairs: Annotated[
        Path | None, typer.Option("--pairs", metavar="FILE.jsonl", help="Learn to prefer what was better (DPOTrainer).")
    ] = None,
    rank: Annotated[int, typer.Option("--rank", min=1, help="Of the adapter.")] = 16,
    epochs: Annotated[float, typer.Option("--epochs", min=0, help="How often every record is seen.")] = 1.0,
    steps: Annotated[int | None, typer.Option("--steps", min=1, metavar="N", help="Most steps.")] = None,
    batch: Annotated[int, typer.Option("--batch", min=1, help="Records of a step.")] = 1,
    learning_rate: Annotated[float | None, typer.Option("--learning-rate", min=0)] = None,
) -> None:
    """Train an adapter (LoRA) with TRL on exported conversations, and say how vLLM serves it."""
    if (sft is None) == (pairs is None):
        raise InputError("say what to learn from: --sft FILE or --pairs FILE")
    job = Training(
        kind="sft" if sft is not None else "pairs",
        records=sft or pairs or Path(),
        model=model,
        out=out,
        rank=rank,
        epochs=epochs,
        most_steps=steps,
        batch=batch,
        learning_rate=learning_rate,
    )
    trained = train(job, on_line=say)
    say(f"{trained.number} records, {trained.steps} steps, mean loss {trained.loss:.3f}; vLLM answers with it so:")
    sys.stdout.write(how_to_serve(model, out, rank) + "\n")


async def _race(
    arms: list[Arm],
    flow: Flow,
    items: Data,
    runtime: Runtime,
    audit: Audit,
    records: Records,
    weights: Weights,
    reader: str,
    rounds: int | None,
) -> Selection:
    async with runtime, audit:
        await preflight([flow], runtime)
        found = await find_reader(flow, runtime, reader) if weights.readability or reader else None
        for contestant in [arm.contestant for arm in arms] + ([found.contestant] if found is not None else []):
            records.start(contestant)
        return await select(
            arms,
            items,
            runtime,
            scorer=TextScorer(),
            weights=weights,
            reader=found,
            rounds=rounds,
            on_round=_tell,
        )


def _tell(selection: Selection, left: list[str]) -> None:
    """A line a round on stderr."""
    race = selection.race
    gone = f"; out: {', '.join(left)}" if left else ""
    say(f"{race.items}: {race.best} leads with {race.mean(race.best):.3f}, {len(race.running)} in the race{gone}")


def _protocol(text: str) -> str | dict[str, Any]:
    """A protocol as a flow would say it: its name, or a mapping."""
    written = read_yaml(text, "--protocol").data
    if isinstance(written, dict):
        return {str(key): value for key, value in written.items()}
    return text.strip()


def _write(path: Path, text: str) -> None:
    """Write a text. Raises InputError if the file cannot be written."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{str(path)!r} cannot be written: {error.strerror}") from error
