"""What several commands read from the command line, and what is checked before a token is spent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from ..accounting.budget import Budget
from ..backends.backend import ServerFacts
from ..backends.request import Message, Request
from ..errors import InputError, LaconicError
from ..evals.data import Data
from ..orchestrator import Flow, ModelSpec, Runtime
from ..orchestrator.queueing import Order
from ..orchestrator.registry import nearest
from ..orchestrator.yaml_source import read_yaml
from .errors import say

StoreOption = Annotated[
    Path | None,
    typer.Option(
        "--store", metavar="PATH", help="Ledger file; answers in a file named here are used again. Else LACONIC_STORE."
    ),
]
ModelOption = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        metavar="ROLE=SPEC",
        help="Another model in a role: local:NAME, http://host:port/v1#NAME, vllm:http://host:port/v1#NAME, "
        "vllm:FOLDER, vllm-engine:FOLDER.",
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Another value in the flow file, such as nodes.answer.max_steps=4; VALUE is YAML.",
    ),
]
HOW_ASKED = frozenset({"temperature", "top_p", "seed", "max_tokens", "timeout", "retries", "stream", "estimate"})
"""What of a model's spec belongs to the role, whichever model plays it."""

LimitOption = Annotated[int | None, typer.Option("--limit", min=1, metavar="N", help="Only the first N items.")]
Score = Literal["text", "label", "number", "sql-spider", "sql-bird"]
ScoreOption = Annotated[
    Score,
    typer.Option(
        "--score",
        help="Judge answers as text (exact match, F1), as labels, by the number they end with, or as SQL by what it "
        "gives, with Spider's or BIRD's rules.",
    ),
]
VariantOption = Annotated[
    list[str] | None,
    typer.Option(
        "--variant",
        metavar="NAME: KEY=VALUE; ...",
        help="Compare the flow with itself, changed as by --set; once for each, the first is the baseline.",
    ),
]
GoldOption = Annotated[
    str, typer.Option("--gold", metavar="FIELD", help="With --score label: the field with the right label.")
]
GoldNameOption = Annotated[
    list[str] | None,
    typer.Option("--gold-name", metavar="VALUE=LABEL", help="With --score label: what a flow calls a value of it."),
]
DatabasesOption = Annotated[
    Path | None,
    typer.Option("--databases", metavar="DIR", help="SQL: the folder with NAME.sqlite or NAME/NAME.sqlite."),
]
ResultsOption = Annotated[
    Path | None,
    typer.Option("--results", metavar="ROWS.jsonl", help="Keep a row for each flow and item; go on where it ends."),
]
OfEachOption = Annotated[
    int | None,
    typer.Option("--of-each", min=1, metavar="N", help="Only the first N items of each group, such as a database."),
]
AtOnceOption = Annotated[
    int | None,
    typer.Option(
        "--items-at-once",
        min=1,
        metavar="N",
        help="Items under way at once. If not given, one; with `run` and a vLLM server, as many as it takes to choose "
        "well among their calls.",
    ),
]
ItemByItemOption = Annotated[
    bool,
    typer.Option(
        "--item-by-item",
        help="Ask all flows an item before the next one, so that prompts they share are still in a server's cache; "
        "otherwise flow by flow.",
    ),
]
OrderOption = Annotated[
    Order,
    typer.Option(
        "--order",
        help="Send calls that wait for a vLLM server by what their prompts have in common, or as they come.",
    ),
]


def pairs(texts: Sequence[str] | None, option: str) -> dict[str, str]:
    """`k=v` texts as a mapping. Raises InputError for a text without `=` and for a repeated name."""
    found: dict[str, str] = {}
    for text in texts or ():
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise InputError(f"{option} needs NAME=VALUE, not {text!r}")
        if name in found:
            raise InputError(f"{option} {name} is given twice")
        found[name] = value
    return found


def model_specs(texts: Sequence[str] | None) -> dict[str, ModelSpec]:
    """The `--model` options by role. Raises InputError."""
    return {role: ModelSpec.parse(text) for role, text in pairs(texts, "--model").items()}


def variant_of(text: str) -> tuple[str, list[str]]:
    """The name of a `--variant` and its changes, written as those of `--set`. Raises InputError."""
    name, colon, changes = text.partition(":")
    if not colon or not name.strip() or "=" in name:
        raise InputError(f"--variant needs NAME: KEY=VALUE; KEY=VALUE, not {text!r}")
    return name.strip(), [change.strip() for change in changes.split(";") if change.strip()]


def load_flows(paths: Sequence[Path], sets: Sequence[str] | None) -> list[Flow]:
    """The flow files, each with those of the `--set` changes that have a place in it.

    Raises InputError for a change that has no place in any of them, and FlowError.
    """
    changes = {key: read_yaml(value, f"--set {key}").data for key, value in pairs(sets, "--set").items()}
    flows = [Flow.load(path) for path in paths]
    for key in changes:
        if not any(_has_place(flow, key) for flow in flows):
            raise InputError(f"--set {key}: there is no such place in {', '.join(str(path) for path in paths)}")
    fitting = [{key: value for key, value in changes.items() if _has_place(flow, key)} for flow in flows]
    return [Flow.load(path, mine) if mine else flow for path, flow, mine in zip(paths, flows, fitting, strict=True)]


def _has_place(flow: Flow, key: str) -> bool:
    place: Any = flow.written()
    for name in key.split(".")[:-1]:
        place = place.get(name) if isinstance(place, dict) else None
    return isinstance(place, dict)


def with_models(flows: Sequence[Flow], specs: Mapping[str, ModelSpec]) -> list[Flow]:
    """Each flow with those of `specs` whose role it has. Raises InputError for a role that none has.

    Another model answers; how the flow wants the role to be asked (temperature, most tokens, ...) stays.
    """
    roles = {role for flow in flows for role in flow.models}
    for role in specs:
        if role not in roles:
            name = repr(flows[0].name) if len(flows) == 1 else "any of the flows"
            raise InputError(f"--model {role}: there is no model {role!r} in {name}{nearest(role, sorted(roles))}")
    changed = [
        {role: _asked_as(flow.models[role], spec) for role, spec in specs.items() if role in flow.models}
        for flow in flows
    ]
    return [flow.with_models(mine) if mine else flow for flow, mine in zip(flows, changed, strict=True)]


def alone(role: str, spec: ModelSpec, *, name: str) -> Flow:
    """A flow with one model and nothing that uses another."""
    return Flow(name=name, models={role: spec}, nodes={"ask": {"kind": "prompt", "prompt": "", "model": role}})


def _asked_as(before: ModelSpec, spec: ModelSpec) -> ModelSpec:
    """`spec`, asked as `before` was to be asked, where it does not say otherwise itself."""
    return spec.model_copy(update={name: getattr(before, name) for name in HOW_ASKED - spec.model_fields_set})


async def preflight(
    flows: Sequence[Flow], runtime: Runtime, budget: Budget | None = None
) -> dict[tuple[str, str], ServerFacts]:
    """Open every model and ask each server what it has, before any token is spent; facts by (flow, role).

    Raises InputError that names the role: a server that is not there, a model it does not have, a missing file, prompts
    that cannot be counted where a budget needs it.
    """
    found: dict[tuple[str, str], ServerFacts] = {}
    beside = [spec for flow in flows for spec in flow.models.values()]
    for flow in flows:
        for role, spec in flow.models.items():
            try:
                model = await runtime.model(role, spec, beside=beside)
                facts = await model.backend.facts()
            except LaconicError as error:
                raise InputError(f"the model {role!r} of the flow {flow.name!r} cannot be used: {error}") from error
            if not has_model(facts, model.backend.model):
                raise InputError(
                    f"the model {role!r} of the flow {flow.name!r}: the server at {spec.url} has no model "
                    f"{model.backend.model!r}{nearest(model.backend.model, list(facts.models))}"
                )
            if any(map(_counts_tokens, (budget, flow.budget, *(node.budget for node in flow.nodes.values())))):
                try:
                    await model.backend.count(Request(model=model.backend.model, messages=(Message("user", "Hello"),)))
                except LaconicError as error:
                    raise InputError(f"the budget of the flow {flow.name!r} cannot be kept: {error}") from error
            found[flow.name, role] = facts
    return found


def _counts_tokens(budget: Budget | None) -> bool:
    """Whether a prompt's tokens must be known before a call is sent."""
    return budget is not None and (budget.tokens is not None or budget.cost is not None)


def has_model(facts: ServerFacts, model: str) -> bool:
    """Whether the server can be asked for `model`. Servers that list none, or patterns, are taken at their word."""
    if not facts.models or model in facts.models or any("*" in name for name in facts.models):
        return True
    if facts.server == "llama.cpp":
        return any(model in (Path(name).name, Path(name).stem) for name in facts.models)
    # Names as some servers list and accept them: `llama3:latest` for llama3, `models/gemma` for gemma.
    return facts.server == "other" and any(
        model in (name.partition(":")[0], name.rsplit("/", 1)[-1]) for name in facts.models
    )


def tell_problems(data: Data) -> None:
    """Say which lines of a data file are left out."""
    for problem in data.problems:
        say(f"{data.path}: {problem}; left out")
