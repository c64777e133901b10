"""llama.cpp servers of this process: one for each model file and its options, shared by all who ask for it (`servers`).

A server is a child process (`llama_process`) that listens on a loopback port behind a random key. It ends when the last
user gives it back, when this process exits, and when this process is killed.
"""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import msgspec

from ..errors import ModelFileError
from .own_server import OwnProcess, SharedServers

LAST_WORDS = 5.0
"""Seconds that a process which could not load its model has to end, and to have written why."""


class Settings(msgspec.Struct, frozen=True):
    """What a server is started with; equal settings are one server."""

    path: str
    aliases: tuple[str, ...]
    """Names that requests may call the model by."""
    threads: int | None
    """Threads that compute; None leaves it to llama.cpp."""
    parameters: tuple[tuple[str, Any], ...]
    """Fields of llama.cpp's parameters."""


class LlamaServer(OwnProcess):
    """One child process. Every method may be called from any thread."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings = settings
        self.key: str | None = secrets.token_urlsafe(24)
        """What a client must send to be answered."""
        self.address = ""
        """`http://127.0.0.1:PORT`, once it is started."""
        self.url = ""
        self._messages: IO[str] | None = None
        self._starting = threading.Lock()
        self._state = threading.Lock()

    def start(self) -> None:
        """Load the model, unless that was done; takes seconds.

        Raises `ModelFileError` with what llama.cpp said if it cannot, or if the server was stopped in the meantime.
        """
        with self._starting:
            if self.address:
                return
            with self._state:
                if self.stopped:
                    raise ModelFileError(f"The server of {self.settings.path} was closed before it had started.")
                self._messages = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115  # kept
                process = self._process = subprocess.Popen(
                    [sys.executable, "-P", str(Path(__file__).with_name("llama_process.py"))],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=self._messages,
                    text=True,
                    encoding="utf-8",
                )
            said = self._ask(process)
            if "address" not in said:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(LAST_WORDS)
                raise ModelFileError(f"llama.cpp cannot load {self.settings.path}: {self._reason(said)}.")
            self.address = said["address"]
            self.url = f"{self.address}/v1"

    def stop(self) -> None:
        """End the process, whatever it is doing."""
        with self._state:
            self.stopped = True
            process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout, self._messages):
                if stream is not None:
                    stream.close()

    def _ask(self, process: subprocess.Popen[str]) -> dict[str, Any]:
        asked = {
            "path": self.settings.path,
            "aliases": self.settings.aliases,
            "keys": [self.key],
            "threads": self.settings.threads,
            "parameters": dict(self.settings.parameters),
        }
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps(asked) + "\n")
            process.stdin.flush()
            said: dict[str, Any] = json.loads(process.stdout.readline())
        except (OSError, ValueError):  # it ended, or was ended, before it had answered
            said = {}
        return said

    def _reason(self, said: dict[str, Any]) -> str:
        """What llama.cpp printed about a failure, else what the process answered, else how it ended."""
        lines: list[str] = []
        if self._messages is not None and not self._messages.closed:
            self._messages.seek(0)
            lines = [line.strip() for line in self._messages.read().splitlines() if line.strip()]
        told = [line.split(" E ", 1)[1].strip() for line in lines if " E " in line]
        if told:
            return told[0].rstrip(".")
        if said:
            return str(said.get("error")).rstrip(".")
        return "its process ended" + (f" ({lines[-1]})" if lines else "")


servers = SharedServers(LlamaServer)
