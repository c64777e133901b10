"""What the engine costs per node, beside bare asyncio, LangGraph and pydantic-graph.

    python benchmarks/overhead.py [--json] [--quick]

In every system a node awaits a model that answers at once. In Laconic the model stands behind the meter, so its figures
include a request, its key, a ledger entry and a node record; the others just await. Ratios are of processor time, which
other work on the machine disturbs less than the clock; the clock's figures stand beside them.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from side_by_side import Figures, Goal, Report, Table, cell, middle, options, ratio, rotate

SYSTEMS = {
    "asyncio": "bare asyncio",
    "laconic": "Laconic",
    "langgraph": "LangGraph",
    "pydantic_graph": "pydantic-graph",
}
TITLES = {
    "chain": "chain of 100",
    "fan_out": "fan-out of 1000",
    "many_runs": "1000 runs at once of a chain of 5",
}
AT_ONCE = "fan_out_at_once"
"""Laconic's `for_each` has 256 elements under way unless told otherwise; here all, as in the other systems."""
GROWING = {"chain": "chain", "for_each": "for_each, one node", "fan_out": "fan-out, every node written"}
MOST_OF_ASYNCIO, LEAST_BELOW_LANGGRAPH = 3.0, 10.0
CRITICAL_PATH, FLAT, WAITING = 120.0, 1.5, 1024.0
"""Milliseconds for two branches of 110; cost at the largest size over that at the smallest; bytes a waiting node."""


def main() -> None:
    chosen = options("What the engine costs per node, beside other engines.", quick=True)
    report = Report(
        "overhead",
        "What the engine costs per node. Every node awaits a model that answers at once; in Laconic behind the meter,\n"
        "with a ledger entry for every call.",
        ("langgraph", "langgraph-checkpoint", "langchain-core", "pydantic-graph", "pydantic", "msgspec"),
    )
    rounds, runs = (1, 3) if chosen.quick else (3, 7)
    shapes(report, rounds, runs)
    branches(report, rounds)
    growth(report, min(rounds, 2), (100, 1_000, 10_000) if chosen.quick else (100, 1_000, 10_000, 100_000))
    waiting(report, 10_000 if chosen.quick else 100_000)
    report.show(as_json=chosen.json)


def shapes(report: Report, rounds: int, runs: int) -> None:
    """The three shapes in all systems."""
    cells = {(shape, system): partial(cell, "shapes.py", system, shape, runs) for shape in TITLES for system in SYSTEMS}
    cells[AT_ONCE, "laconic"] = partial(cell, "shapes.py", "laconic", AT_ONCE, runs)
    taken = rotate(cells, rounds)
    report.figures["shapes"] = {f"{shape}/{system}": figures for (shape, system), figures in taken.items()}
    columns = ("system", "µs CPU a node", "µs by the clock", "× bare asyncio", "× LangGraph")
    for shape, title in TITLES.items():
        floor, rival = taken[shape, "asyncio"], taken[shape, "langgraph"]
        measured = {name: taken[shape, system] for system, name in SYSTEMS.items()}
        if shape == "fan_out":
            measured["Laconic, all 1000 under way at once"] = taken[AT_ONCE, "laconic"]
        rows = [
            (
                name,
                f"{middle(figures, 'cpu'):.1f}",
                f"{middle(figures, 'wall'):.1f}",
                f"{ratio(figures, floor, 'cpu'):.1f}",
                f"{ratio(figures, rival, 'cpu'):.2f}",
            )
            for name, figures in measured.items()
        ]
        report.tables.append(Table(title, columns, rows))
        for name, figures in measured.items():
            if name.startswith("Laconic"):
                goals(report, title + name.removeprefix("Laconic"), figures, floor, rival)


def goals(report: Report, title: str, ours: list[Figures], floor: list[Figures], rival: list[Figures]) -> None:
    """What a shape's cost is held against."""
    above, below = ratio(ours, floor, "cpu"), ratio(rival, ours, "cpu")
    clock = ratio(ours, floor, "wall"), ratio(rival, ours, "wall")
    report.goals += [
        Goal(
            f"{title}: at most {MOST_OF_ASYNCIO:g} times bare asyncio",
            f"{above:.1f} times (by the clock {clock[0]:.1f})",
            above <= MOST_OF_ASYNCIO,
        ),
        Goal(
            f"{title}: at least {LEAST_BELOW_LANGGRAPH:g} times less than LangGraph",
            f"{below:.1f} times less (by the clock {clock[1]:.1f})",
            below >= LEAST_BELOW_LANGGRAPH,
        ),
    ]


def branches(report: Report, rounds: int) -> None:
    """Two branches, 100 ms then 10 ms and 10 ms then 100 ms: does one wait for the other?"""
    taken = rotate({system: partial(cell, "shapes.py", system, "branches", 3) for system in SYSTEMS}, rounds)
    report.figures["branches"] = taken
    milliseconds = {system: middle(figures, "wall") * 4 / 1000 for system, figures in taken.items()}
    report.tables.append(
        Table(
            "two branches, 100 ms then 10 ms and 10 ms then 100 ms",
            ("system", "ms in all"),
            [(name, f"{milliseconds[system]:.0f}") for system, name in SYSTEMS.items()],
        )
    )
    ours = milliseconds["laconic"]
    report.goals.append(Goal("two branches of 110 ms end at about 110 ms", f"{ours:.0f} ms", ours <= CRITICAL_PATH))


def growth(report: Report, rounds: int, sizes: tuple[int, ...]) -> None:
    """Laconic's cost per node as graphs grow, and that of bare asyncio's tasks beside it."""
    cells = {("asyncio", size): partial(cell, "growth.py", "asyncio", size) for size in sizes}
    cells |= {(name, size): partial(cell, "growth.py", name, size) for name in GROWING for size in sizes}
    taken: dict[tuple[str, int], list[Figures]] = rotate(cells, rounds)
    report.figures["growth"] = {f"{name}/{size}": figures for (name, size), figures in taken.items()}

    def row(title: str, name: str, key: str) -> tuple[str, ...]:
        return title, *(f"{middle(taken[name, size], key):.1f}" for size in sizes)

    rows = [row("bare asyncio, a task per node, all at once", "asyncio", "cpu")]
    rows += [row(title, name, "cpu") for name, title in GROWING.items()]
    rows += [row(f"making it: {title}", name, "make") for name, title in GROWING.items()]
    columns = ("µs CPU a node", *(f"{size:,} nodes" for size in sizes))
    report.tables.append(Table("cost per node as graphs grow", columns, rows))
    least, most = sizes[0], sizes[-1]
    for name in ("chain", "for_each"):
        grown = ratio(taken[name, most], taken[name, least], "cpu")
        goal = f"{GROWING[name]}: a node of {most:,} costs at most {FLAT:g} times one of {least:,}"
        report.goals.append(Goal(goal, f"{grown:.1f} times", grown <= FLAT))
    # That many tasks at once cost more each in asyncio itself: Python's garbage collector and the processor's caches.
    begin, end = (ratio(taken["fan_out", size], taken["asyncio", size], "cpu") for size in (least, most))
    goal = f"{GROWING['fan_out']}: grows with the nodes as bare asyncio does (at most {FLAT:g} times as fast)"
    measured = f"{begin:.1f} times bare asyncio at {least:,}, {end:.1f} times at {most:,}"
    report.goals.append(Goal(goal, measured, end <= begin * FLAT))


def waiting(report: Report, size: int) -> None:
    """Memory of nodes that wait."""
    figures: dict[str, Any] = cell("growth.py", "waiting", size)
    report.figures["waiting"] = figures
    rows = [
        ("definition, shared by all runs", f"{figures['definition']:.0f}"),
        ("state in a run, while it waits", f"{figures['waiting']:.0f}"),
    ]
    report.tables.append(Table(f"memory of {size:,} nodes that wait for one", ("bytes a node", "bytes"), rows))
    report.goals.append(
        Goal("a waiting node takes less than 1 KiB", f"{figures['waiting']:.0f} bytes", figures["waiting"] < WAITING)
    )


if __name__ == "__main__":
    main()
