"""Prompt tokens that a real vLLM computes, when calls come as they come and in Laconic's order.

    python benchmarks/prefix_order.py [--url URL --model NAME] [--rounds N] [--json]

A few hundred prompts with common beginnings, shuffled, on a server whose cache is too small for all of them. Without
--url a vLLM with SmolLM2 is started for it.
"""

from __future__ import annotations

import asyncio
from functools import partial

from jobs import prompts
from served import Served, arguments, served
from side_by_side import Goal, Report, Table, cell, middle, ratio, rotate

from laconic.backends import Message, OpenAIBackend, Request
from laconic.backends.prefix_cache import PrefixCache

WORKLOAD = "shared(24,8)"
WAYS = {"bare": "all posted at once by a bare script", "arrival": "Laconic, --order arrival", "prefix": "Laconic"}
LEAST = 0.9
"""Of the reuse that a cache without end would give."""


def main() -> None:
    chosen = arguments("Prompt tokens that vLLM computes, by the order of calls.", rounds=2, blocks=128)
    with served(chosen) as server:
        report = Report(
            "prefix_order",
            f"{len(prompts(WORKLOAD))} prompts, shuffled: 24 documents with 8 questions each, and half as many again "
            "from three system prompts with tools and worked examples. "
            f"{server.about}. Tokens are as the server counts them.",
            ("aiohttp",),
        )
        possible, every = asyncio.run(reuse_without_end(server))
        cells = {way: partial(cell, "jobs.py", way, WORKLOAD, server.url, server.model, seconds=3000) for way in WAYS}
        taken = rotate(cells, chosen.rounds)
    report.figures = {"possible": possible, "prompt": every, **taken}
    rows = [
        (
            name,
            f"{middle(taken[way], 'computed'):,.0f}",
            f"{middle(taken[way], 'cached'):,.0f}",
            f"{middle(taken[way], 'cached') / possible:.1%}",
            f"{middle(taken[way], 'seconds'):,.1f}",
            f"{ratio(taken[way], taken['arrival'], 'seconds'):.2f}",
        )
        for way, name in WAYS.items()
    ]
    rows.append(("a cache without end, one call at a time", f"{every - possible:,}", f"{possible:,}", "100.0%", "", ""))
    columns = ("order", "computed", "from the cache", "of the possible reuse", "seconds", "× arrival")
    report.tables.append(Table("Prompt tokens", columns, rows, f"of {every:,} prompt tokens in all"))
    reached = middle(taken["prefix"], "cached") / possible
    report.goals.append(
        Goal(
            f"in Laconic's order at least {LEAST:.0%} of the reuse of a cache without end",
            f"{reached:.1%} (as they come {middle(taken['arrival'], 'cached') / possible:.1%})",
            reached >= LEAST,
        )
    )
    report.show(as_json=chosen.json)


async def reuse_without_end(server: Served) -> tuple[int, int]:
    """Tokens that a cache without end would give, one call at a time, and all prompt tokens."""
    cache = PrefixCache(server.facts.block or 16)
    backend = OpenAIBackend(server.model, server.url)
    reused = every = 0
    for prompt in prompts(WORKLOAD):
        messages = (Message("system", prompt["system"]), Message("user", prompt["question"]))
        count = await backend.count(Request(model=server.model, messages=messages))
        assert count.ids is not None
        running = cache.begin(count.ids)
        running.end(count.ids)
        reused += running.cached
        every += count.tokens
    await backend.aclose()
    return reused, every


if __name__ == "__main__":
    main()
