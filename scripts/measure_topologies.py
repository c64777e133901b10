"""Success, steps, calls and tokens of teams in worlds, as Markdown.

`python scripts/measure_topologies.py --report docs/results/topologies.md` counts with scripted robots, which follow the
policy of their world: what a topology costs as robots grow. With `--model large=SPEC` a real model speaks for them.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from laconic import Flow, Runtime
from laconic.agents import Played
from laconic.agents.worlds.scripted import robots
from laconic.backends import ScriptedBackend
from laconic.backends.catalogue import find
from laconic.errors import LaconicError
from laconic.evals.provenance import shown
from laconic.orchestrator import KINDS, ModelSpec

ROUNDS = 4
"""How often all robots may speak before a step is decided."""
ROLE = "large"
"""The role that speaks for all robots."""
CONTEXT = 131_072
"""Tokens of the scripted robots' context: none of their prompts is too long."""
HEAD = (
    "| world | topology | robots | solved | score | steps | calls | prompt tokens | completion tokens | "
    "message tokens | tokens per solved task |"
)


@dataclass(frozen=True)
class Case:
    """One cell of the measurement; `seeds` are its instances."""

    world: str
    topology: str
    agents: int
    seeds: range


@dataclass(frozen=True)
class Game:
    """What one team did in one instance. Tokens are the ledger's, those of failed and repaired calls included."""

    solved: bool
    score: float
    steps: int
    calls: int
    prompt: int
    completion: int
    messages: int
    """Tokens of the messages alone, as papers on protocols count them."""
    lower_bound: bool = False
    """Whether a server did not say some of the tokens."""
    error: str = ""


def cases(asked: argparse.Namespace) -> Iterator[Case]:
    """All of them, those to be compared with each other next to each other."""
    for world in asked.worlds:
        for agents in asked.agents:
            for topology in asked.topologies:
                yield Case(world, topology, agents, range(asked.seeds))


def flow_of(case: Case, seed: int, model: ModelSpec, sees: str, max_tokens: int) -> Flow:
    """The flow of one game. Raises FlowError for a topology or world that there is not."""
    team = KINDS.find(case.topology)
    written = {
        "world": {"kind": case.world, "agents": case.agents, "seed": seed},
        "sees": sees,
        "max_tokens": max_tokens,
        "max_turns": ROUNDS * case.agents + 2,  # a proposal and a revision besides
    }
    return Flow(
        name=f"{case.world}-{case.topology}",
        models={ROLE: model},
        nodes={"team": team.model_validate(written)},
        outputs={"answer": "{{ team }}"},
    )


async def game(flow: Flow, runtime: Runtime) -> Game:
    """Play it. A team that fails has solved nothing, and its tokens count."""
    result = await flow.run(runtime=runtime)
    value = result.values.get("team")
    played = value if isinstance(value, Played) else None
    total = result.ledger.total()
    return Game(
        solved=played is not None and played.solved,
        score=played.score if played is not None else 0.0,
        steps=played.steps if played is not None else 0,
        calls=total.calls,
        prompt=total.prompt,
        completion=total.completion,
        messages=result.ledger.view("published:optima").total.completion,
        lower_bound=total.at_least("total"),
        error=f"{result.error}" if result.error is not None else "",
    )


def row(case: Case, games: Sequence[Game]) -> str:
    """The row of a case: means over its games; tokens per solved task are all tokens by the games that were solved."""
    solved = sum(one.solved for one in games)
    tokens = sum(one.prompt + one.completion for one in games)
    bound = "≥ " if any(one.lower_bound for one in games) else ""
    cells = [
        case.world,
        case.topology,
        f"{case.agents}",
        f"{solved} of {len(games)}",
        f"{mean(one.score for one in games):.2f}",
        f"{mean(one.steps for one in games):.1f}",
        f"{mean(one.calls for one in games):.1f}",
        f"{bound}{mean(one.prompt for one in games):,.0f}",
        f"{bound}{mean(one.completion for one in games):,.0f}",
        f"{mean(one.messages for one in games):,.0f}",
        f"{bound}{tokens / solved:,.0f}" if solved else "none was solved",
    ]
    return f"| {' | '.join(cells)} |"


def model_line(spec: ModelSpec | None) -> str:
    """Who spoke; of a model in a file on this machine also the file and its SHA-256."""
    if spec is None:
        return "scripted robots that follow the policy of their world; tokens of the shipped tokenizer"
    file = find(spec.model) if spec.backend == "local" else None
    if file is None:
        return f"{Path(spec.model).name}, {spec.backend}"
    with file.open("rb") as weights:
        digest = hashlib.file_digest(weights, "sha256").hexdigest()
    return f"{Path(spec.model).name}, {spec.backend}, {file.name}, SHA-256 {digest}"


def report(command: Sequence[str], spec: ModelSpec | None, seeds: int, sees: str, rows: Sequence[str]) -> str:
    """The document. `command`: the arguments as they were given."""
    return "\n\n".join(
        [
            "# What topologies cost in worlds",
            f"Generated on {time.strftime('%Y-%m-%d %H:%M %Z')}; nothing in it was typed by hand.",
            f"```sh\npython scripts/measure_topologies.py {' '.join(map(shown, command))}\n```",
            f"- model: {model_line(spec)}\n- instances: seeds 0 to {seeds - 1}\n- what an agent sees: {sees}",
            "Means over the instances. Prompt and completion tokens are the ledger's: all calls, repairs and feedback "
            "included; message tokens are those of the messages alone.",
            "\n".join([HEAD, f"|---|---|{'---:|' * 9}", *rows]),
        ]
    )


async def measure(asked: argparse.Namespace) -> str:
    """Play all games, one after the other, and report. Raises LaconicError."""
    spec = spec_of(asked.model)
    backends = None if spec else {ROLE: ScriptedBackend(robots, context=CONTEXT)}
    rows = []
    async with Runtime(backends=backends) as runtime:
        for case in cases(asked):
            games = []
            for seed in case.seeds:
                model = spec or ModelSpec(backend="scripted", model="scripted")
                one = await game(flow_of(case, seed, model, asked.sees, asked.max_tokens), runtime)
                games.append(one)
                if one.error:
                    sys.stderr.write(f"{case.world} {case.topology} {case.agents} seed {seed}: {one.error}\n")
            rows.append(row(case, games))
            sys.stderr.write(f"{rows[-1]}\n")
    return report(asked.command, spec, asked.seeds, asked.sees, rows) + "\n"


def spec_of(model: str) -> ModelSpec | None:
    """The model of `ROLE=SPEC`; None if none is given. Raises InputError, and ValueError for another role."""
    if not model:
        return None
    role, _, spec = model.partition("=")
    if role != ROLE or not spec:
        raise ValueError(f"--model is written {ROLE}=SPEC, not {model!r}: all robots speak through that role")
    return ModelSpec.parse(spec)


def arguments(given: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", nargs="+", default=["boxes", "warehouse", "lifting"])
    parser.add_argument("--topologies", nargs="+", default=["central", "round", "hybrid1", "hybrid2"])
    parser.add_argument("--agents", nargs="+", type=int, default=[2, 4, 8])
    parser.add_argument("--seeds", type=int, default=5, help="how many instances, from seed 0 on")
    parser.add_argument("--sees", default="state", help="what an agent is shown, see `sees` of a team")
    parser.add_argument("--max-tokens", type=int, default=200, help="most tokens of one message")
    parser.add_argument("--model", default="", metavar="ROLE=SPEC", help="a real model, such as large=local:NAME")
    parser.add_argument("--report", type=Path, required=True, help="the Markdown file that is written")
    asked = parser.parse_args(given)
    if asked.seeds < 1:
        parser.error("--seeds must be at least 1")
    if not asked.report.parent.is_dir():
        parser.error(f"there is no folder {str(asked.report.parent)!r} for the report")
    asked.command = list(given)
    return asked


def main(given: Sequence[str]) -> int:
    """Measure and write the report; 2 for what the user has to mend."""
    asked = arguments(given)
    try:
        document = asyncio.run(measure(asked))
    except (LaconicError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    asked.report.write_text(document, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
