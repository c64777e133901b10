"""`laconic doctor`: what is installed, which models are here, whether a flow's models can be reached, what to do."""

from __future__ import annotations

import asyncio
import os
import platform
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated

import typer

from ..backends import catalogue
from ..backends.backend import ServerFacts
from ..errors import LaconicError
from ..orchestrator import Flow, ModelSpec, Runtime
from ..version import __version__
from .errors import FAILED, OK
from .options import ModelOption, alone, model_specs, preflight, with_models
from .storage import store_path
from .text import one_line
from .vllm_probe import probe
from .vllm_probe import told as vllm_told

EXTRAS = {
    "local": ("xllamacpp",),
    "vllm": ("vllm",),
    "hf": ("torch", "transformers"),
    "eval": ("matplotlib", "pandas", "scikit-learn"),
    "graph": ("matplotlib", "networkx"),
    "notebook": ("ipykernel", "nbconvert"),
    "parquet": ("pyarrow",),
}
"""What each extra of the package brings."""


def doctor(
    flow: Annotated[Path | None, typer.Argument(metavar="[FLOW]", help="Also try this flow's models.")] = None,
    model: ModelOption = None,
) -> None:
    """Look at this installation, and say what is missing and what to do.

    Spends nothing, except on vLLM servers of a flow: two short calls show what they report, and are told.
    """
    loaded = None if flow is None else with_models([Flow.load(flow)], model_specs(model))[0]
    _tell(f"Laconic {__version__}, Python {platform.python_version()}, {os.cpu_count()} cores, {platform.platform()}")
    _tell("\nextras:")
    for extra, packages in EXTRAS.items():
        _tell(f"  {_extra(extra, packages)}")
    _tell("\nmodels that are known by name:")
    for entry in catalogue.CATALOGUE.values():
        path = catalogue.find(entry.name)
        there = (
            str(path) if path else f"not here; get it: laconic models pull {entry.name} ({entry.size / 1e6:,.0f} MB)"
        )
        _tell(f"  {'ok     ' if path else 'missing'} {entry.name}: {there}")
    where = store_path(None)
    _tell(f"\nledger: {where} ({'there' if where.exists() else 'made by the first run'})")
    if loaded is not None:
        _tell(f"\nmodels of {loaded.name}:")
        if not asyncio.run(_reachable(loaded)):
            raise typer.Exit(FAILED)
    raise typer.Exit(OK)


def _extra(extra: str, packages: Sequence[str]) -> str:
    found, missing = [], []
    for name in packages:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    if missing:
        return f'missing {extra}: without {", ".join(missing)}; get it: pip install "laconic[{extra}]"'
    return f"ok      {extra}: {', '.join(found)}"


async def _reachable(flow: Flow) -> bool:
    """Try each model by itself, so that one that is missing does not hide the others."""
    all_well = True
    for role, spec in flow.models.items():
        what = f"{role}: {spec.backend} {spec.model}{f' at {spec.url}' if spec.url else ''}"
        async with Runtime() as runtime:
            try:
                facts = (await preflight([alone(role, spec, name=flow.name)], runtime))[flow.name, role]
            except LaconicError as error:
                all_well = False
                _tell(f"  missing {what}: {one_line(str(error), 400)}")
                continue
            told = [
                " ".join(filter(None, (facts.server, facts.version))),
                f"context {facts.context:,} tokens" if facts.context else "",
                "counts prompts exactly" if facts.tokenizes else "cannot count prompts: budgets need `estimate: true`",
                "reports cached tokens" if facts.reports_cached else "",
                "publishes its counters" if facts.metrics else "publishes no counters: the ledger cannot be audited",
            ]
            _tell(f"  ok      {what}: {', '.join(filter(None, told))}")
            if facts.server == "vllm":
                await _look_closer(runtime, role, spec, facts)
    return all_well


async def _look_closer(runtime: Runtime, role: str, spec: ModelSpec, facts: ServerFacts) -> None:
    """What shows only in an answer."""
    try:
        probed = await probe(runtime.meter, await runtime.model(role, spec), facts)
    except LaconicError as error:
        _tell(f"          it does not answer: {one_line(str(error), 400)}")
        return
    for line in vllm_told(facts, probed):
        _tell(f"          {line}")
    _tell(f"          (found out with 2 calls of {probed.spent:,} tokens)")


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
