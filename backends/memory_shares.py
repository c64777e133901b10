"""Sharing out one machine's memory between the vLLM servers that are to run on it at the same time.

vLLM takes the share of the accelerator's memory that it is given, whatever else runs there, and fails if less is free.
So all servers together get `ALL` of it: each its weights, and an equal part of what remains for its KV cache.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from ..errors import FlowError

ALL = 0.9
"""Share of the memory that the servers may take together."""
EXPLICIT = "gpu_memory_utilization"
"""The option of vLLM by which a flow gives a model its share."""
BYTES_A_PARAMETER = 2
GIB = 1 << 30
LEAST_CACHE, MOST_CACHE = 1, 8
"""GiB of KV cache of a server on a CPU."""


class Wanted(msgspec.Struct, frozen=True):
    """A vLLM server that is to be started; equal ones are one server."""

    model: str
    context: int | None = None
    parameters: float | None = None
    """Billions."""
    options: Mapping[str, Any] = {}
    """vLLM's own arguments."""


def shares(wanted: Sequence[Wanted], total: int | None) -> list[float]:
    """Each server's share of a memory of `total` bytes; where that or a size is unknown, equal shares.

    Invariant: with a server that does not say its share, all of them together get `ALL` at most.
    Raises `FlowError` if those that do leave nothing for the others.
    """
    given = [explicit(server) for server in wanted]
    room = ALL - sum(share for share in given if share is not None)
    others = [server for server, share in zip(wanted, given, strict=True) if share is None]
    if others and room <= 0:
        raise FlowError(
            f"the models with `{EXPLICIT}` take all of the memory and leave none for {others[0].model!r}; "
            f"together they may take less than {ALL}"
        )
    parts = iter(_divided(room, [_weights(server) for server in others], total))
    return [share if share is not None else next(parts) for share in given]


def share(server: Wanted, beside: Iterable[Wanted]) -> float:
    """The share of `server` on this machine, when those `beside` it (it may be one of them) are to run as well."""
    together: list[Wanted] = []
    for one in (server, *beside):
        if one not in together:
            together.append(one)
    return shares(together, accelerator_memory())[0]


def _divided(room: float, weights: Sequence[int | None], total: int | None) -> list[float]:
    known = [size / total for size in weights if size is not None] if total else []
    if len(known) < len(weights):
        return [room / len(weights)] * len(weights)
    rest = room - sum(known)
    if rest < 0:  # they do not fit; vLLM will say so of the first that does not
        return [room * size / sum(known) for size in known]
    return [size + rest / len(known) for size in known]


def explicit(server: Wanted) -> float | None:
    """The share that the server's options give it. Raises `FlowError` if that is none."""
    share = server.options.get(EXPLICIT)
    if share is None:
        return None
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share <= 1:
        raise FlowError(f"`{EXPLICIT}` of the model {server.model!r} is a share between 0 and 1, not {share!r}")
    return float(share)


def _weights(server: Wanted) -> int | None:
    """Bytes of weights on each accelerator, from the files of a folder or from the number of parameters."""
    files = list(Path(server.model).expanduser().glob("*.safetensors"))
    size = sum(file.stat().st_size for file in files) or None
    if size is None and server.parameters is not None:
        size = round(server.parameters * 1e9 * BYTES_A_PARAMETER)
    devices = server.options.get("tensor_parallel_size")
    return size // devices if size is not None and isinstance(devices, int) and devices > 0 else size


@cache
def accelerator_memory() -> int | None:
    """Bytes of memory of the smallest GPU here; None if that cannot be told."""
    if shutil.which("nvidia-smi") is None:
        return None
    command = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    asked = subprocess.run(command, capture_output=True, text=True, check=False)
    sizes = [int(word) for word in asked.stdout.split() if word.isdecimal()]
    return min(sizes) << 20 if asked.returncode == 0 and sizes else None


def cpu_cache(share: float | None) -> int:
    """GiB of KV cache for a server on a CPU: its part of a quarter of the memory that is available now."""
    part = 1.0 if share is None else share / ALL
    return min(MOST_CACHE, max(LEAST_CACHE, int(part * _available() / 4 / GIB)))


def _available() -> int:
    """Bytes of main memory that can be taken without swapping; 0 where the system does not tell."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:")), 0)
