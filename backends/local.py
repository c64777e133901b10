"""`LocalBackend`: a model file run by llama.cpp on this machine, for as long as it is used."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import BackendError, FlowError, ModelFileError
from . import catalogue
from .llama_server import LlamaServer, Settings, servers
from .nearest import did_you_mean
from .own_backend import OwnServerBackend
from .request import Completion, Delta, OnDelta, Request

PROMPT_CACHE = 2048
"""Mebibytes that llama.cpp may use to keep the prompts of slots that are given away, so that they can come back."""


class LocalBackend(OwnServerBackend[Settings, LlamaServer]):
    """Runs a GGUF file with llama.cpp and speaks to it as to any server.

    The model is loaded at the first use, or by `start`; all backends of this process with the same file and options
    share one server, which ends with the last of them. A request goes to the slot whose last prompt begins most like
    its own; prompts that lose their slot are kept in memory (`cache_ram_mib` of the options, 2,048 MiB if not given)
    and come back, so that prompts with a few common beginnings are cached in whatever order they come.

    llama.cpp computes a cached prompt in other batches than a new one, so that with `temperature: 0` the answers are
    nearly always, but not provably, the same.
    """

    name = "local"

    def __init__(
        self,
        model_or_path: str | Path,
        *,
        context: int = 4096,
        slots: int = 4,
        threads: int | None = None,
        options: Mapping[str, Any] | None = None,
        timeout: float = 600.0,
    ) -> None:
        """Find the model's file; nothing is loaded yet.

        `model_or_path`: a name of the catalogue or the path of a GGUF file. `context`: tokens of prompt and answer
        together, for each request. `slots`: requests answered at once; each takes memory for a whole context.
        `threads`: threads that compute; None takes the physical cores this process may use. `options`: fields of
        llama.cpp's `CommonParams`, such as `n_gpu_layers`. `timeout`: seconds that a call may take.

        Raises `ModelFileError` if the file is not there, `FlowError` for an option that llama.cpp does not have, and
        `BackendError` if xllamacpp is not installed.
        """
        if importlib.util.find_spec("xllamacpp") is None:
            raise BackendError(
                'Local models need xllamacpp, which is not installed. Install it with: pip install "laconic[local]"'
            )
        self.path = catalogue.path(model_or_path)
        known = catalogue.CATALOGUE.get(str(model_or_path).lower())
        model = known.name if known is not None and not Path(model_or_path).is_file() else self.path.stem
        self.context = context
        with self.path.open("rb") as file:
            if file.read(4) != b"GGUF":
                raise ModelFileError(f"{self.path} is not a GGUF file, the kind that llama.cpp reads.")
        names = {model, self.path.stem} | {
            entry.name for entry in catalogue.CATALOGUE.values() if entry.file == self.path.name
        }
        settings = Settings(
            str(self.path.resolve()),
            tuple(sorted(names)),
            threads if threads is not None else _physical_cores(),
            tuple(sorted(_parameters(context, slots, options or {}).items())),
        )
        super().__init__(model, servers, settings, timeout)

    async def complete(self, request: Request, on_delta: OnDelta | None = None) -> Completion:
        """Answer one request. Raises as `OpenAIBackend` does, and `ServerFailure` if llama.cpp ended meanwhile.

        The answer always comes as a stream, whether `on_delta` wants it or not: only then does the server stop at once
        when the call is cancelled, and only then is it known how much it had generated.
        """
        return await super().complete(request, on_delta or _ignore)

    def _ended(self, server: LlamaServer) -> str:
        if server.stopped:
            return f"The local model {self.model!r} was closed while it was answering."
        return (
            f"The llama.cpp process of {self.model!r} has ended, perhaps for want of memory. The next call starts it "
            "again; a smaller `context` or fewer `slots` need less memory."
        )


def _ignore(delta: Delta) -> None:
    """A piece of an answer that nobody asked to see."""


def _parameters(context: int, slots: int, options: Mapping[str, Any]) -> dict[str, Any]:
    """llama.cpp's parameters: ours, and over them the user's."""
    if context < 1 or slots < 1:
        raise FlowError(f"A local model needs a context and slots of at least 1, not {context} and {slots}.")
    if options:
        _check(options)
    ours = {
        "n_ctx": context * slots,
        "n_parallel": slots,
        "cache_ram_mib": PROMPT_CACHE,
        "endpoint_metrics": True,
        "endpoint_slots": False,
        "ui": False,
        "cors_origins": "http://127.0.0.1",
        "verbosity": 1,
    }
    return ours | dict(options)


def _check(options: Mapping[str, Any]) -> None:
    """Whether llama.cpp has these parameters; raises `FlowError` naming the first that it does not have."""
    import xllamacpp

    known = [name for name in dir(xllamacpp.CommonParams) if not name.startswith("_")]
    for name, value in options.items():
        if name not in known or not isinstance(value, (bool, int, float, str)):
            hint = did_you_mean(name, known) if name not in known else ""
            raise FlowError(f"llama.cpp has no option {name!r} that can be set to {value!r}.{hint}")


def _physical_cores() -> int | None:
    """The physical cores this process may run on, where that can be told; None leaves it to llama.cpp."""
    if sys.platform != "linux":
        return None
    try:
        allowed = os.sched_getaffinity(0)
        cores = {
            Path(f"/sys/devices/system/cpu/cpu{number}/topology/core_cpus_list").read_text(encoding="ascii")
            for number in allowed
        }
    except OSError:
        return None
    return max(1, len(cores))
