"""Calls a second through the meter and the server backend, beside the openai package and bare httpx.

    python benchmarks/http_client.py [--json] [--quick]

(Named so because a script called http.py would hide Python's own module from everything it imports.)
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from side_by_side import HERE, Goal, Report, Table, cell, middle, options, ratio, rotate

CLIENTS = {
    "laconic": "Laconic: meter, backend, ledger",
    "transport": "httpx with the same transport, alone",
    "openai": "openai package",
    "httpx": "httpx as it comes",
}
CALLS = {"laconic": 2000, "transport": 2000, "openai": 400, "httpx": 400}
"""Calls of one batch: the slow clients make fewer."""
AT_ONCE = (1, 64, 256)
LEAST_OF_OPENAI, LEAST_OF_TRANSPORT = 4.0, 0.8


@contextmanager
def constant_server() -> Iterator[str]:
    """The address of a constant-answer server in a process of its own."""
    command = [sys.executable, str(HERE / "http_server.py")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(server.stdout.readline())}/v1"
        finally:
            server.stdin.close()


def main() -> None:
    chosen = options("Calls a second against a server that answers at once.", quick=True)
    report = Report(
        "http_client",
        "Chat calls against a server on loopback that gives every request the same answer, in a process of its own.",
        ("httpx", "httpx-aiohttp", "aiohttp", "openai", "httpx2", "msgspec"),
    )
    with constant_server() as url:
        cells = {
            (client, at_once): partial(cell, "calls.py", client, at_once, calls // (4 if chosen.quick else 1), url)
            for at_once in AT_ONCE
            for client, calls in CALLS.items()
        }
        taken = rotate(cells, 1 if chosen.quick else 3)
    report.figures = {f"{client}/{at_once}": figures for (client, at_once), figures in taken.items()}
    for at_once in AT_ONCE:
        ours, rival, floor = (taken[client, at_once] for client in ("laconic", "openai", "transport"))
        rows = [
            (
                name,
                f"{middle(taken[client, at_once], 'rate'):,.0f}",
                f"{middle(taken[client, at_once], 'cpu'):,.0f}",
                f"{ratio(taken[client, at_once], rival, 'rate'):.2f}",
                f"{ratio(taken[client, at_once], floor, 'rate'):.2f}",
            )
            for client, name in CLIENTS.items()
        ]
        columns = ("client", "calls a second", "µs CPU a call", "× openai", "× transport alone")
        report.tables.append(Table(f"{at_once} at once", columns, rows))
        above, kept = ratio(ours, rival, "rate"), ratio(ours, floor, "rate")
        worked = ratio(rival, ours, "cpu"), ratio(floor, ours, "cpu")
        report.goals += [
            Goal(
                f"{at_once} at once: at least {LEAST_OF_OPENAI:g} times the openai package's calls",
                f"{above:.1f} times (of processor time {worked[0]:.1f})",
                above >= LEAST_OF_OPENAI,
            ),
            Goal(
                f"{at_once} at once: at least {LEAST_OF_TRANSPORT:g} of the transport alone",
                f"{kept:.2f} (of processor time {worked[1]:.2f})",
                kept >= LEAST_OF_TRANSPORT,
            ),
        ]
    report.show(as_json=chosen.json)


if __name__ == "__main__":
    main()
