"""Starting vLLM's engine, and saying in a sentence why it did not start.

The engine is a process that vLLM starts. What it logs goes to a file of ours for as long as it runs, unless the user
has configured vLLM's logging; from there comes the reason of a failure, which vLLM itself only prints.
"""

from __future__ import annotations

import atexit
import dataclasses
import importlib.util
import json
import os
import re
import secrets
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from ..errors import BackendError, FlowError
from .nearest import did_you_mean
from .vllm_watch import MARK

if TYPE_CHECKING:
    from .vllm_outputs import Totals

_RAISED = re.compile(r"^(?:\w+\.)*\w*(?:Error|Exception): (.+)", re.MULTILINE)
"""The last line of a traceback."""
_MEMORY = re.compile(r"\bmemory\b|KV cache", re.IGNORECASE)
_SHOWN = 400
"""Characters of vLLM's reason that are shown."""
PATIENCE = 30.0
"""Seconds that a process of the engine is given to be gone, once it was told to end."""
_LOGGING = "VLLM_LOGGING_CONFIG_PATH"
_starting = threading.Lock()
"""Held while the environment says where an engine logs to."""


class Settings(msgspec.Struct, frozen=True):
    """What an engine is started with."""

    model: str
    """Folder or hub name of the weights."""
    name: str
    """What requests call the model."""
    context: int | None
    memory: float | None
    options: Mapping[str, Any]


class Engine:
    """vLLM's `AsyncLLM`, and the processes that belong to it."""

    def __init__(self, llm: Any, watch: subprocess.Popen[bytes]) -> None:
        self.llm = llm
        self._watch = watch
        atexit.register(self.end)  # now, so that it comes before multiprocessing's, which would wait for the processes

    def end(self) -> None:
        """End its processes and forget it, so that its memory is free; takes up to seconds."""
        atexit.unregister(self.end)
        llm, self.llm = self.llm, None
        if llm is not None:
            manager = llm.engine_core.resources.engine_manager
            processes = list(getattr(manager, "processes", ()))  # none where Ray keeps them
            llm.shutdown()
            for process in processes:
                process.join(PATIENCE)  # vLLM kills those that do not end in time, and does not wait for that
        _dismiss(self._watch)


def load(settings: Settings, totals: Totals) -> Engine:
    """The engine of these settings, which reports to `totals`; takes up to minutes and may run in any thread.

    Raises `BackendError` if vLLM is not installed, finds no device or cannot load the model, and `FlowError` for an
    option that vLLM does not have.
    """
    if importlib.util.find_spec("vllm") is None:
        raise BackendError(
            'An engine in this process needs vLLM, which is not installed. Install it with: pip install "laconic[vllm]"'
        )
    # As vLLM's own command does: a fork of a process with several threads may never get going.
    os.environ.setdefault("VLLM_WORKER_MULTIPROC_METHOD", "spawn")
    with _starting, tempfile.TemporaryDirectory(prefix="laconic-vllm-", ignore_cleanup_errors=True) as folder:
        log = Path(folder, "engine.log")
        with _logging_to(log):
            from vllm.platforms import current_platform

            if not current_platform.device_type:
                raise BackendError(
                    "vLLM finds no device that it was built for on this machine. Use `backend: local` (llama.cpp), "
                    "name a server that has one (`backend: vllm` with its `url`), or install vLLM built for CPUs."
                )
            from vllm.v1.engine.async_llm import AsyncLLM

            args = _arguments(settings)
            with _watched() as watch:
                try:
                    return Engine(AsyncLLM.from_engine_args(args, stat_loggers=[totals.of_engine]), watch)
                except Exception as error:  # vLLM raises whatever comes up, all of it about the model and its options
                    raise _failure(settings, error, log) from error


def _arguments(settings: Settings) -> Any:
    """The arguments of vLLM: ours, and over them the user's."""
    from vllm.engine.arg_utils import AsyncEngineArgs

    known = {field.name for field in dataclasses.fields(AsyncEngineArgs)}
    for name in settings.options:
        if name not in known:
            raise FlowError(f"vLLM's engine has no option {name!r}.{did_you_mean(name, known)}")
    ours: dict[str, Any] = {"model": settings.model, "served_model_name": [settings.name], "use_tqdm_on_load": False}
    if settings.context is not None:
        ours["max_model_len"] = settings.context
    if settings.memory is not None:
        ours["gpu_memory_utilization"] = settings.memory
    return AsyncEngineArgs(**(ours | dict(settings.options)))


@contextmanager
def _logging_to(file: Path) -> Iterator[None]:
    """Have vLLM log to `file`, here if it is not imported yet, and in the processes that it starts."""
    if _LOGGING in os.environ or os.environ.get("VLLM_CONFIGURE_LOGGING") == "0":
        yield
        return
    written = {
        "version": 1,
        "disable_existing_loggers": False,
        "handlers": {"file": {"class": "logging.FileHandler", "filename": str(file), "encoding": "utf-8"}},
        "loggers": {"vllm": {"handlers": ["file"], "level": "INFO", "propagate": False}},
    }
    configuration = file.with_suffix(".json")
    configuration.write_text(json.dumps(written), encoding="utf-8")
    os.environ[_LOGGING] = str(configuration)
    try:
        yield
    finally:
        del os.environ[_LOGGING]


@contextmanager
def _watched() -> Iterator[subprocess.Popen[bytes]]:
    """Mark the processes that are started meanwhile, and have them ended when this process has."""
    mark = secrets.token_hex(16)
    program = str(Path(__file__).with_name("vllm_watch.py"))
    watch = subprocess.Popen([sys.executable, "-P", program, mark], stdin=subprocess.PIPE)
    os.environ[MARK] = mark
    try:
        yield watch
    except BaseException:
        _dismiss(watch)
        raise
    finally:
        del os.environ[MARK]


def _dismiss(watch: subprocess.Popen[bytes]) -> None:
    """Let a watch look for the last time, and wait for its end."""
    if watch.stdin is not None:
        watch.stdin.close()
    watch.wait()


def _failure(settings: Settings, error: Exception, log: Path) -> BackendError:
    logged = _RAISED.search(log.read_text(encoding="utf-8", errors="replace")) if log.exists() else None
    reason = " ".join((logged[1] if logged is not None else _said(error)).split())[:_SHOWN].rstrip(".")
    if _MEMORY.search(reason):
        return BackendError(
            f"vLLM cannot load {settings.model!r} for want of memory: {reason}. Lower the model's `context` or "
            "`memory`, take a smaller model, or end what else uses the memory."
        )
    return BackendError(f"vLLM cannot load {settings.model!r}: {reason}.")


def _said(error: Exception) -> str:
    """What an error says, without the frame that pydantic puts around it."""
    details = getattr(error, "errors", None)
    if callable(details):
        return "; ".join(str(detail["msg"]).removeprefix("Value error, ") for detail in details())
    return str(error) or type(error).__name__
