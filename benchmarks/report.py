"""Write docs/results/benchmarks.md from what the benchmarks measured.

python benchmarks/report.py             from the JSON files in benchmarks/measured
python benchmarks/report.py --measure [NAME ...]   run these benchmarks first, or all, and keep their JSON there
"""

from __future__ import annotations

import json
import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any

from side_by_side import HERE, circumstances, say

BENCHMARKS = {
    "overhead": "The engine, per node",
    "http_client": "The client, per call",
    "ledger": "The ledger",
    "imports": "Importing",
    "prefix_order": "The order of calls, on a real vLLM",
    "throughput": "Tokens a second, on a real vLLM",
}
"""Script -> heading."""
MEASURED = HERE / "measured"
PAGE = HERE.parent / "docs" / "results" / "benchmarks.md"
HEAD = """\
# Benchmarks

Measured by the scripts in [benchmarks/](../../benchmarks/README.md); this page is written by
`python benchmarks/report.py` from their output and not by hand. Every system runs in fresh processes that take turns,
ratios are formed within a round, and medians are given: other work was going on on the machine. Ratios per node are of
processor time.
"""


def main() -> None:
    parser = ArgumentParser(description="Write docs/results/benchmarks.md.")
    parser.add_argument("--measure", nargs="*", choices=BENCHMARKS, help="run these first, or all (many minutes)")
    wanted = parser.parse_args().measure
    if wanted is not None:
        MEASURED.mkdir(exist_ok=True)
        for name in wanted or BENCHMARKS:
            say(f"== {name}")
            command = [sys.executable, str(HERE / f"{name}.py"), "--json"]
            outcome = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
            (MEASURED / f"{name}.json").write_text(outcome, encoding="utf-8")
    found = [json.loads((MEASURED / f"{name}.json").read_text(encoding="utf-8")) for name in BENCHMARKS]
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(page(found), encoding="utf-8")
    say(f"wrote {PAGE}")


def page(found: list[Mapping[str, Any]]) -> str:
    """The whole page."""
    goals = [[*goal.values()] for data in found for goal in data["goals"]]
    rows = [(goal, measured, "yes" if met else "**no**") for goal, measured, met in goals]
    parts = [HEAD, "## Goals\n", grid(("goal", "measured", "met"), rows)]
    for data in found:
        parts += [f"## {BENCHMARKS[data['name']]}\n", f"{data['about']}\n", f"{circumstances(data)}.\n"]
        for table in data["tables"]:
            parts += [f"### {table['title']}\n", *([f"{table['note']}\n"] if table["note"] else [])]
            parts.append(grid(table["columns"], table["rows"]))
    return "\n".join(parts)


def grid(columns: Any, rows: Any) -> str:
    """A table in Markdown; figures stand to the right."""
    lines = [columns, ["---"] + ["---:"] * (len(columns) - 1), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    main()
