"""`laconic serve-models`: the vLLM servers that a flow's models ask for, until Ctrl-C."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from ..backends.memory_shares import Wanted, share
from ..backends.vllm_server import VLLMServer
from ..errors import BackendUnreachable, InputError, ServerNotStarted
from ..orchestrator import Flow
from .errors import OK, say
from .options import ModelOption, model_specs, with_models

LAST_LINES = 30
"""Lines of a log that are shown when its server fails."""
LOOK = 0.5
"""Seconds between two looks at whether all servers still run."""


def serve_models(
    flow: Annotated[Path, typer.Argument(metavar="FLOW", help="A flow file.")], model: ModelOption = None
) -> None:
    """Start the vLLM servers of a flow's models, say how to use them, and end them on Ctrl-C."""
    loaded = with_models([Flow.load(flow)], model_specs(model))[0]
    roles = {role: spec.server for role, spec in loaded.models.items() if spec.server is not None}
    if not roles:
        raise InputError(f"no model of {flow} asks for a server; one that does has `backend: vllm` and no `url`")
    with _terminated_as_by_ctrl_c(), ExitStack() as running:
        told: list[str] = []
        try:
            servers = _start(roles, running, told)
            say("serving; Ctrl-C ends it")
            _watch(servers)
        except KeyboardInterrupt:
            if len(told) < len(roles):
                raise
            say("ending")
    raise typer.Exit(OK)


def _start(roles: Mapping[str, Wanted], running: ExitStack, told: list[str]) -> list[VLLMServer]:
    """One server after the other, since vLLM measures the free memory while it starts; roles may share one.

    A role is in `told` before it is told where it is served: whoever reads the last one may end it at once.
    """
    started: list[tuple[Wanted, VLLMServer]] = []
    for role, wanted in roles.items():
        server = next((server for known, server in started if known == wanted), None)
        if server is None:
            memory = share(wanted, roles.values())
            server = VLLMServer(wanted.model, context=wanted.context, memory=memory, options=wanted.options)
            running.callback(server.stop)
            _load(server)
            started.append((wanted, server))
        told.append(role)
        sys.stdout.write(f"{role}: {server.url}\n  --model {role}=vllm:{server.url}#{server.name}\n")
        sys.stdout.flush()
    return [server for _, server in started]


def _load(server: VLLMServer) -> None:
    say(f"{server.name}: loading ...")
    began = time.monotonic()
    try:
        server.start()
    except ServerNotStarted:
        _show_log(server)
        raise
    say(f"{server.name}: answers after {time.monotonic() - began:.0f} s")


def _watch(servers: list[VLLMServer]) -> NoReturn:
    """Wait until a server ends. Raises BackendUnreachable that says which and why."""
    while True:
        for server in servers:
            if not server.alive:
                _show_log(server)
                raise BackendUnreachable(f"The vLLM server of {server.name!r} has ended: {server.why_ended()}")
        time.sleep(LOOK)


def _show_log(server: VLLMServer) -> None:
    if server.log is not None and server.log.exists():
        for line in server.log.read_text(errors="replace").splitlines()[-LAST_LINES:]:
            say(line)


@contextmanager
def _terminated_as_by_ctrl_c() -> Iterator[None]:
    """SIGTERM does what Ctrl-C does."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
