"""The vLLM server that a benchmark measures: one that runs already, or one that is started for it."""

from __future__ import annotations

import asyncio
import hashlib
import platform
import subprocess
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from side_by_side import say

from laconic.backends import OpenAIBackend, ServerFacts, VLLMServer, catalogue
from laconic.backends.export import export
from laconic.backends.pull import pull

SMALL = "smollm2-135m-instruct"


class Served(msgspec.Struct, frozen=True):
    """A server that answers."""

    url: str
    model: str
    facts: ServerFacts

    @property
    def about(self) -> str:
        """One line about it, for a report."""
        block, blocks = self.facts.block or 0, self.facts.blocks or 0
        model = f"{self.model}{weights(self.facts.root)} on {accelerator()}"
        cache = f"{blocks:,} blocks of {block} tokens: {blocks * block:,} tokens"
        return f"vLLM {self.facts.version} with {model}, a prefix cache of {cache}"


def arguments(about: str, *, rounds: int, blocks: int) -> Namespace:
    """The command line of the benchmarks that need a server."""
    parser = ArgumentParser(description=about)
    parser.add_argument("--url", help="a vLLM server that runs (http://HOST:PORT/v1); else one is started")
    parser.add_argument("--model", help="its model; without --url a folder with safetensors, or a hub name")
    parser.add_argument("--block-size", type=int, help="of the started server's cache, in tokens (32)", default=32)
    parser.add_argument("--blocks", type=int, help=f"that the started server's cache has ({blocks})", default=blocks)
    parser.add_argument("--context", type=int, help="of the started server, in tokens (2048)", default=2048)
    parser.add_argument("--rounds", type=int, help=f"how often each job is run ({rounds})", default=rounds)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of tables")
    return parser.parse_args()


@contextmanager
def served(chosen: Namespace) -> Iterator[Served]:
    """The server that the arguments ask for; one that is started ends with the block."""
    if chosen.url is not None:
        if chosen.model is None:
            raise SystemExit("--url needs --model, the name by which that server knows its model")
        yield Served(chosen.url, chosen.model, asyncio.run(_facts(chosen.url, chosen.model)))
        return
    options = {"block_size": chosen.block_size, "num_gpu_blocks_override": chosen.blocks}
    model = chosen.model or str(small_model())
    say(f"starting vLLM with {model} ...")
    with VLLMServer(model, name=Path(model).name, context=chosen.context, options=options) as server:
        yield Served(server.url, server.name, asyncio.run(_facts(server.url, server.name)))


def small_model() -> Path:
    """The folder of SmolLM2 for vLLM, beside the pulled models; made if it is not there."""
    folder = catalogue.models_folder() / "safetensors" / SMALL
    if not folder.exists():
        say(f"exporting {SMALL} ...")
        pull(SMALL)
        export(SMALL, folder)
    return folder


def weights(root: str | None) -> str:
    """The hash of a model's (first) file of weights, if it is on this machine; else where the server has it from."""
    files = sorted(Path(root).glob("*.safetensors")) if root is not None else []
    if not files:
        return f" ({root})" if root is not None else ""
    with files[0].open("rb") as first:
        digest = hashlib.file_digest(first, "sha256").hexdigest()
    return f" ({files[0].name}, SHA-256 {digest})"


def accelerator() -> str:
    """The GPU's name, or the kind of processor where there is none."""
    try:
        query = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
        return subprocess.run(query, capture_output=True, text=True, check=True).stdout.splitlines()[0]
    except (OSError, subprocess.CalledProcessError, IndexError):
        return f"the CPU ({platform.machine()})"


async def _facts(url: str, model: str) -> ServerFacts:
    backend = OpenAIBackend(model, url)
    try:
        return await backend.facts()
    finally:
        await backend.aclose()
