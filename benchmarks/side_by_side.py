"""Measuring on a machine that others use too: fresh processes, rotations, medians, and one form for the outcome.

A figure is taken in a cell: a script of this folder in an interpreter of its own, which prints one JSON object. The
cells of all systems take turns, and the whole rotation is repeated, so that a noisy spell hits everyone. A ratio is
formed within each round and the median of the rounds is given; absolute figures are medians too.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeVar

HERE = Path(__file__).parent
Figures = dict[str, Any]
"""What a cell prints."""
Name = TypeVar("Name")


def cell(script: str, *arguments: object, seconds: float = 600.0) -> Figures:
    """Run `script`, a file of this folder, in a fresh interpreter; returns the JSON object it prints last."""
    done = subprocess.run(
        [sys.executable, str(HERE / script), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    if done.returncode != 0:
        raise SystemExit(f"{script} {' '.join(map(str, arguments))} failed:\n{done.stderr}")
    figures: Figures = json.loads(done.stdout.splitlines()[-1])
    return figures


def rotate(cells: Mapping[Name, Callable[[], Figures]], rounds: int) -> dict[Name, list[Figures]]:
    """Take every cell once a round, each round beginning one cell later; returns each cell's figures by round."""
    taken: dict[Name, list[Figures]] = {name: [] for name in cells}
    names = list(cells)
    for turn in range(rounds):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            say(f"round {turn + 1} of {rounds}: {name}")
            taken[name].append(cells[name]())
    return taken


def middle(rounds: Iterable[Figures], key: str) -> float:
    """The median of one figure over the rounds."""
    return statistics.median(float(figures[key]) for figures in rounds)


def ratio(ours: Sequence[Figures], theirs: Sequence[Figures], key: str) -> float:
    """How many times theirs one figure of ours is: formed within each round, the median of the rounds."""
    return statistics.median(float(mine[key]) / float(other[key]) for mine, other in zip(ours, theirs, strict=True))


@dataclass(frozen=True)
class Table:
    """Rows of text under a title; the first column is a name, the others are figures."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    note: str = ""

    def text(self) -> str:
        """For a terminal."""
        lines = [self.columns, *self.rows]
        widths = [max(len(line[place]) for line in lines) for place in range(len(self.columns))]
        shown = [
            "  ".join(part.ljust(width) if place == 0 else part.rjust(width) for place, (part, width) in pairs).rstrip()
            for line in lines
            for pairs in [enumerate(zip(line, widths, strict=True))]
        ]
        shown.insert(1, "  ".join("-" * width for width in widths))
        return "\n".join([self.title, *([self.note] if self.note else []), "", *shown])


@dataclass(frozen=True)
class Goal:
    """What was wanted, what came out, and whether that meets it."""

    goal: str
    measured: str
    met: bool


@dataclass
class Report:
    """The outcome of one benchmark, with all that is needed to judge it."""

    name: str
    about: str
    packages: tuple[str, ...]
    """Distributions whose versions belong to the figures."""
    tables: list[Table] = field(default_factory=list)
    goals: list[Goal] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)
    """Every measured figure by round, for whoever wants more than medians."""
    load_before: tuple[float, float, float] = field(default_factory=os.getloadavg)
    began: float = field(default_factory=time.time)

    def as_json(self) -> dict[str, Any]:
        """Everything, as plain data."""
        return {
            "name": self.name,
            "about": self.about,
            "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(self.began)),
            "seconds": round(time.time() - self.began, 1),
            "cores": os.cpu_count(),
            "processor": processor(),
            "load": {"before": list(self.load_before), "after": list(os.getloadavg())},
            "versions": {"python": platform.python_version(), **versions(self.packages)},
            "tables": [asdict(table) for table in self.tables],
            "goals": [asdict(goal) for goal in self.goals],
            "figures": self.figures,
        }

    def show(self, *, as_json: bool) -> None:
        """Print it."""
        data = self.as_json()
        if as_json:
            print(json.dumps(data, indent=1))
            return
        print(self.about)
        print(circumstances(data))
        for table in self.tables:
            print(f"\n{table.text()}")
        if self.goals:
            rows = [(goal.goal, goal.measured, "yes" if goal.met else "NO") for goal in self.goals]
            print(f"\n{Table('Goals', ('goal', 'measured', 'met'), rows).text()}")


def circumstances(data: Mapping[str, Any]) -> str:
    """One line: when, on what, how busy, which versions."""
    before, after = data["load"]["before"][0], data["load"]["after"][0]
    made_with = ", ".join(f"{name} {number}" for name, number in data["versions"].items())
    return (
        f"{data['date']}; {data['cores']} cores ({data['processor']}); load average {before:.1f} before and "
        f"{after:.1f} after, of other work on the machine too; {made_with}"
    )


def processor() -> str:
    """The processor's name, as far as the system tells."""
    cpus = Path("/proc/cpuinfo")
    if cpus.exists():
        for line in cpus.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Installed versions by distribution; Laconic's own first."""
    found = {}
    for package in ("laconic", *packages):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def say(text: str) -> None:
    """Tell whoever waits what is going on, apart from the outcome."""
    print(text, file=sys.stderr, flush=True)


def options(about: str, *, quick: bool = False) -> Namespace:
    """The command line that the benchmarks have in common: `json`, and `quick` where there is such a thing."""
    parser = ArgumentParser(description=about)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of tables")
    if quick:
        parser.add_argument(
            "--quick", action="store_true", help="one round and smaller sizes: rough figures in seconds"
        )
    return parser.parse_args()
