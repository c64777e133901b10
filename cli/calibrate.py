"""`laconic calibrate`: how long a model takes for a call that it answers alone."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from ..accounting.calibration import Calibration, check_writable, save_calibration
from ..accounting.call import Call
from ..backends import catalogue
from ..errors import InputError
from ..evals.provenance import processor, sha256_of
from ..orchestrator import Flow, ModelSpec
from ..orchestrator.registry import nearest
from .errors import say
from .measuring import Measuring
from .options import StoreOption
from .storage import opened, store_path
from .tables import show_table


def calibrate(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A model as --model of `laconic run` takes it; with --flow, a role.")
    ],
    flow: Annotated[
        Path | None,
        typer.Option(
            "--flow",
            metavar="FLOW",
            help="MODEL is a role of this flow, asked for its likeliest tokens: its sampling and `extra` are left out.",
        ),
    ] = None,
    repeats: Annotated[
        int, typer.Option("--repeats", min=1, max=20, metavar="N", help="Calls for each point; the shortest counts.")
    ] = 3,
    device: Annotated[
        str, typer.Option("--device", metavar="TEXT", help="What the model runs on, in words; servers do not tell.")
    ] = "",
    to: Annotated[
        Path | None, typer.Option("--to", metavar="FILE", help="Where to save it; else beside the ledger file.")
    ] = None,
    store: StoreOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what is saved.")] = False,
) -> None:
    """Measure how long a model reads prompts and generates tokens, one call at a time, for `laconic ledger --runtimes`.

    The calls are a run of the ledger. Nobody else should use the model, nor the machine, meanwhile.
    """
    role, spec = _model(model, flow)
    place = to or store_path(store).parent / f"calibration-{_file_name(spec.model)}.json"
    if to is not None and not to.parent.is_dir():
        raise InputError(f"there is no folder {str(to.parent)!r} for the calibration")
    with opened(store_path(store)) as (ledger, _, database):
        check_writable(place)
        measuring = Measuring(role, spec, repeats, ledger, database)
        facts, prefill, per_token = measuring.run()
    calls = ledger.calls
    file = catalogue.find(spec.model) if spec.backend == "local" else None
    calibration = Calibration(
        model=calls[0].served,
        prefill=prefill,
        per_token=per_token,
        parameters=facts.parameters or _parameters(spec),
        backend=spec.backend,
        server=" ".join(filter(None, (facts.server, facts.version))),
        root=facts.root or "",
        sha256="" if file is None else sha256_of(file),
        machine=f"{processor()}, {os.cpu_count()} cores",
        device=device,
        date=time.strftime("%Y-%m-%d %H:%M %Z"),
        run=measuring.record.run,
        repeats=repeats,
    )
    save_calibration(calibration, place)
    if as_json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(calibration), indent=2).decode() + "\n")
    else:
        _show(calibration)
    _say_what_was_cached(calls)
    if not per_token:
        say(
            "a longer answer took no longer than a short one, so that generated tokens are taken to take no time; "
            "measure again when the machine is idle, with more --repeats"
        )
    say(f"saved in {place}; the calls are those of run {calibration.run}")


def _model(word: str, flow: Path | None) -> tuple[str, ModelSpec]:
    if flow is None:
        return "model", ModelSpec.parse(word)
    models = Flow.load(flow).models
    if word not in models:
        raise InputError(f"there is no model {word!r} in {flow}{nearest(word, list(models))}")
    return word, models[word]


def _file_name(model: str) -> str:
    return re.sub(r"[^\w.-]+", "-", model).strip("-")


def _parameters(spec: ModelSpec) -> int | None:
    """What the flow says, or the catalogue."""
    known = catalogue.CATALOGUE.get(spec.model.lower()) if spec.backend == "local" else None
    billions = spec.parameters or (known.parameters if known is not None else None)
    return None if billions is None else round(billions * 1e9)


def _show(calibration: Calibration) -> None:
    rows = [[f"{tokens:,}", f"{seconds:.4f}", _rate(tokens, seconds)] for tokens, seconds in calibration.prefill]
    show_table(("prompt tokens", "seconds", "tokens a second"), rows, left=0)
    rate = _rate(1, calibration.per_token)
    sys.stdout.write(f"a generated token: {calibration.per_token:.4f} s{f' ({rate} a second)' if rate else ''}\n")


def _rate(tokens: int, seconds: float) -> str:
    return f"{tokens / seconds:,.0f}" if seconds else ""


def _say_what_was_cached(calls: Sequence[Call]) -> None:
    found = [call for call in calls if call.usage.cache_read]
    if found:
        cached = sum(call.usage.cache_read or 0 for call in found)
        say(f"{len(found)} prompts were left out, of which the server had {cached:,} tokens in its cache")
    if any(call.usage.cache_read is None for call in calls):
        say("the server does not say what came from its cache; no two of the prompts begin alike")
