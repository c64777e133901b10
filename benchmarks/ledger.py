"""What the ledger takes: time to append, calls a second into a file while a run goes on, memory.

python benchmarks/ledger.py [--json] [--quick]
"""

from __future__ import annotations

from functools import partial

from side_by_side import Goal, Report, Table, cell, middle, options, rotate

LEAST_RATE, MOST_APPEND = 20_000, 1.0
"""Calls a second into the file; microseconds to append in memory."""


def main() -> None:
    chosen = options("What the ledger takes.", quick=True)
    report = Report("ledger", "The ledger of all calls: in memory, and in a SQLite file beside a run.", ("msgspec",))
    small = chosen.quick
    sizes = {"append": 100_000, "run": 10_000 if small else 50_000, "memory": 100_000 if small else 1_000_000}
    taken = rotate({what: partial(cell, "books.py", what, size) for what, size in sizes.items()}, 1 if small else 3)
    report.figures = dict(taken)
    append = middle(taken["append"], "microseconds")
    in_memory, in_file = middle(taken["run"], "memory"), middle(taken["run"], "file")
    size = middle(taken["memory"], "bytes")
    report.tables.append(
        Table(
            "the ledger",
            ("what", "figure"),
            [
                ("append a call in memory, µs", f"{append:.2f}"),
                (f"a run of {sizes['run']:,} calls, in memory only: calls a second", f"{in_memory:,.0f}"),
                ("the same run into a SQLite file, until the last is committed: calls a second", f"{in_file:,.0f}"),
                (f"memory of {sizes['memory']:,} calls, MiB", f"{size * sizes['memory'] / 2**20:,.0f}"),
                ("bytes a call", f"{size:,.0f}"),
            ],
            note="The run is one for_each node whose elements call a model that answers at once.",
        )
    )
    report.goals += [
        Goal(
            f"at least {LEAST_RATE:,} calls a second into the file while a run goes on",
            f"{in_file:,.0f}",
            in_file >= LEAST_RATE,
        ),
        Goal("about a microsecond to append in memory", f"{append:.2f} µs", append <= MOST_APPEND),
    ]
    report.show(as_json=chosen.json)


if __name__ == "__main__":
    main()
