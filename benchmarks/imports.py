"""How long `import laconic` and `from laconic import Flow` take, and what takes it.

    python benchmarks/imports.py [--json]

A fresh interpreter each, byte code cached as in any installation; the best of seven, since only other work on the
machine makes an import slower than it is. Goals are held against processor time, which that work disturbs less than the
clock. The packages come from `python -X importtime`, which itself costs a bit.
"""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from side_by_side import Goal, Report, Table, options, rotate

STATEMENTS = {"import laconic": 0.15, "from laconic import Flow": 0.25}
"""Statement -> most seconds."""
BEST_OF = 7
SHOWN = 8


def main() -> None:
    chosen = options("How long importing takes.")
    report = Report("imports", "Seconds to import Laconic in a fresh interpreter.", ("pydantic", "jinja2", "msgspec"))
    with TemporaryDirectory() as folder:
        cached = {**os.environ, "PYTHONPYCACHEPREFIX": folder}
        cached.pop("PYTHONDONTWRITEBYTECODE", None)
        for statement in STATEMENTS:
            python(cached, "-c", statement)
        taken = rotate({statement: partial(seconds, statement, cached) for statement in STATEMENTS}, BEST_OF)
        modules = dearest(python(cached, "-X", "importtime", "-c", "from laconic import Flow").stderr)
    report.figures = dict(taken)
    best = {name: {key: min(figure[key] for figure in taken[name]) for key in ("cpu", "wall")} for name in STATEMENTS}
    timings = [(name, f"{best[name]['cpu']:.3f}", f"{best[name]['wall']:.3f}") for name in STATEMENTS]
    columns = ("statement", "s CPU", "s by the clock")
    report.tables.append(Table(f"import, best of {BEST_OF}", columns, timings))
    rows = [(name, f"{own / 1000:.1f}") for name, own in modules]
    report.tables.append(Table("the dearest packages of `from laconic import Flow`", ("package", "ms"), rows))
    report.goals += [
        Goal(
            f"`{statement}` takes at most {most:g} s",
            f"{best[statement]['cpu']:.3f} s (by the clock {best[statement]['wall']:.3f} s)",
            best[statement]["cpu"] <= most,
        )
        for statement, most in STATEMENTS.items()
    ]
    report.show(as_json=chosen.json)


def python(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """A fresh interpreter."""
    return subprocess.run(
        [sys.executable, *arguments], env=environment, capture_output=True, text=True, check=True, cwd=Path.home()
    )


def seconds(statement: str, environment: dict[str, str]) -> dict[str, float]:
    """What one import takes, of processor time and by the clock."""
    program = (
        "import time; began, worked = time.perf_counter(), time.process_time()\n"
        f"{statement}\n"
        "print(time.process_time() - worked, time.perf_counter() - began)"
    )
    cpu, wall = python(environment, "-c", program).stdout.split()
    return {"cpu": float(cpu), "wall": float(wall)}


def dearest(trace: str) -> list[tuple[str, int]]:
    """Packages by the microseconds that their modules take themselves; from the output of `-X importtime`."""
    sums: dict[str, int] = {}
    for line in trace.splitlines():
        own, _, name = line.removeprefix("import time:").split("|")
        if own.strip().isdecimal():
            package = name.strip().partition(".")[0]
            sums[package] = sums.get(package, 0) + int(own)
    return sorted(sums.items(), key=lambda entry: -entry[1])[:SHOWN]


if __name__ == "__main__":
    main()
