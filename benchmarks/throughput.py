"""Tokens a second of the same job on the same vLLM: through Laconic, and posted at once by a bare script.

    python benchmarks/throughput.py [--url URL --model NAME] [--rounds N] [--json]

Without --url a vLLM with SmolLM2 is started for it.
"""

from __future__ import annotations

from functools import partial

from served import arguments, served
from side_by_side import Goal, Report, Table, cell, middle, ratio, rotate

WORKLOADS = {
    "apart(120)": ("no common beginning", 0.95),
    "shared(16,8)": ("common beginnings that fit in the cache together", 0.95),
    "shared(64,3)": ("common beginnings, more than the cache holds", 1.1),
}
"""Job -> what it is, and the least ratio of tokens a second to the bare script's."""
WAYS = {"bare": "a bare script, all posted at once", "prefix": "Laconic"}


def main() -> None:
    chosen = arguments("Tokens a second through Laconic and through a bare script.", rounds=3, blocks=512)
    with served(chosen) as server:
        report = Report(
            "throughput",
            f"The same job posted at once by a bare script, and as a flow with a ledger. {server.about}. A token is "
            "one of a prompt or of an answer, as the server counts.",
            ("aiohttp",),
        )
        cells = {
            (job, way): partial(cell, "jobs.py", way, job, server.url, server.model, seconds=3000)
            for job in WORKLOADS
            for way in WAYS
        }
        taken = rotate(cells, chosen.rounds)
    report.figures = {f"{job} {way}": figures for (job, way), figures in taken.items()}
    for job, (name, least) in WORKLOADS.items():
        rows = [
            (
                text,
                f"{middle(taken[job, way], 'prompt'):,.0f}",
                f"{middle(taken[job, way], 'cached'):,.0f}",
                f"{middle(taken[job, way], 'generated'):,.0f}",
                f"{middle(taken[job, way], 'rate'):,.0f}",
                f"{ratio(taken[job, way], taken[job, 'bare'], 'rate'):.2f}",
            )
            for way, text in WAYS.items()
        ]
        columns = ("way", "prompt", "of it cached", "generated", "tokens a second", "× bare script")
        report.tables.append(Table(f"{name}: {job}", columns, rows))
        reached = ratio(taken[job, "prefix"], taken[job, "bare"], "rate")
        report.goals.append(
            Goal(f"{name}: at least {least:g} of the bare script's tokens a second", f"{reached:.2f}", reached >= least)
        )
    report.show(as_json=chosen.json)


if __name__ == "__main__":
    main()
