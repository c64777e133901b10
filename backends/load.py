"""How busy a server is, by its own word: vLLM's gauges in its Prometheus text."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import msgspec

from .metrics import samples

RUNNING, WAITING, USAGE = "vllm:num_requests_running", "vllm:num_requests_waiting", "vllm:kv_cache_usage_perc"


class Load(msgspec.Struct, frozen=True):
    """Requests that a server works on and that wait in it, of all its clients, and the share of its cache in use."""

    running: int
    waiting: int
    cache_usage: float
    """Of the blocks of the KV cache, those that running requests hold: 0 to 1."""


@runtime_checkable
class TellsLoad(Protocol):
    """A backend whose server tells how busy it is."""

    async def load(self) -> Load | None:
        """How busy the server is now; None if it does not tell."""
        ...


def read_load(text: str) -> Load | None:
    """The load in a Prometheus text: requests summed over engines, the usage of the fullest; None if it has none."""
    sums = {RUNNING: 0.0, WAITING: 0.0}
    usage: list[float] = []
    found = set()
    for name, _, value in samples(text, (RUNNING, WAITING, USAGE)):
        found.add(name)
        if name == USAGE:
            usage.append(value)
        else:
            sums[name] += value
    if found != {RUNNING, WAITING, USAGE}:
        return None
    return Load(round(sums[RUNNING]), round(sums[WAITING]), max(usage))
