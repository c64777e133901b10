"""`VLLMServer`: a vLLM server on this machine that Laconic starts, and that ends with it.

The server is a child process (`vllm_process`) with vLLM's own processes under it. It listens on a loopback port, and
ends when it is stopped, when nobody holds it any more, when this process exits, and when this process is killed.
"""

from __future__ import annotations

import http.client
import json
import os
import select
import socket
import subprocess
import sys
import tempfile
import threading
import weakref
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ..errors import ServerNotStarted
from .memory_shares import EXPLICIT, cpu_cache
from .own_server import OwnProcess
from .vllm_arguments import command_line, environment
from .vllm_log import PORT_IN_USE, diagnose
from .vllm_model import find_model, served_name
from .vllm_python import Installed, ask_python, find_python

LOOK = 0.2
"""Seconds between two questions whether the server answers already. That it has ended is noticed at once."""
TRIES = 3
"""Ports that are tried, if others take them while vLLM is loading."""
LAST_WORDS = 15.0
"""Seconds for the server's processes to end in order, or to be killed by the one that watches them."""
LOG_READ = 1 << 20
"""Bytes at the end of a log in which a reason is looked for."""
CACHE_SPACE = "VLLM_CPU_KVCACHE_SPACE"


class VLLMServer(OwnProcess):
    """One vLLM server. Every method may be called from any thread.

    with VLLMServer("models/smollm2", context=2048) as server:
        backend = OpenAIBackend(server.name, server.url)
    """

    def __init__(
        self,
        model: str | Path,
        *,
        name: str | None = None,
        context: int | None = None,
        memory: float | None = None,
        options: Mapping[str, Any] | None = None,
        key: str | None = None,
        port: int | None = None,
        python: str | None = None,
    ) -> None:
        """Look at what is asked for; nothing is started yet.

        `model`: a name of the model hub, or a folder with safetensors. `name`: what requests call it; else the name of
        the folder, or the hub's. `context`: tokens of prompt and answer together; None takes the model's own. `memory`:
        share (0 to 1) of the accelerator's memory; on a CPU it only decides how large the KV cache is. `options`:
        vLLM's own arguments by their Python names, and `env`, variables of its environment. `key`: what clients must
        send. `python`: the interpreter that has vLLM; see `vllm_python`.

        Raises `ModelFileError` if the folder is not there or holds no model, and `FlowError` for a wrong option.
        """
        super().__init__()
        self.model = find_model(model)
        self.name = name or served_name(model)
        self.key = key
        """What a client must send to be answered; None if anybody is."""
        self.url = ""
        """`http://127.0.0.1:PORT/v1`, once it is started."""
        self.log: Path | None = None
        """What vLLM printed. The file stays if the server failed, and is deleted when it is stopped in good order."""
        self._context = context
        self._memory = memory
        self._options = {name: value for name, value in (options or {}).items() if name != "env"}
        self._flags = command_line(self._options)
        self._environment = environment(options or {})
        self._port = port
        self._python = python
        self._end: weakref.finalize[..., VLLMServer] | None = None
        self._status: int | None = None
        self._starting = threading.Lock()
        self._state = threading.Lock()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.model!r}, {self.url!r})"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Load the model, unless that was done, and wait until it answers: a minute or many, as the model is large.

        Raises `ServerNotStarted` with vLLM's reason if it cannot, or if the server was stopped in the meantime.
        """
        with self._starting:
            if self.url:
                return
            try:
                self._start()
            except BaseException as error:
                self._finish(keep_log=isinstance(error, ServerNotStarted))
                raise

    def stop(self) -> None:
        """End the server and all its processes, whatever they are doing; takes some seconds."""
        failed = self._process is not None and not self.alive
        self.stopped = True
        self._finish(keep_log=failed)

    def why_ended(self) -> str:
        """A sentence or two on why a server that was not stopped is gone, and where its log is."""
        return f"{diagnose(self._said(), self._exit_status())} Its log is {self.log}."

    def _start(self) -> None:
        python = find_python(self._python)
        installed = ask_python(python)
        if self._port is not None and not _can_listen(self._port):
            raise ServerNotStarted(f"Port {self._port} of this machine is in use; give {self.name!r} another, or none.")
        for tries_left in reversed(range(TRIES)):
            port = self._port or _free_port()
            process = self._launch([python, *self._command(installed, port)], installed)
            if self._comes_up(process, port):
                self.url = f"http://127.0.0.1:{port}/v1"
                return
            if self.stopped:
                raise ServerNotStarted(f"The vLLM server of {self.name!r} was closed before it had started.")
            taken = self._port is None and PORT_IN_USE.search(self._said()) is not None
            if not (taken and tries_left):
                break
            self._finish(keep_log=False)
        raise ServerNotStarted(f"vLLM did not start {self.name!r}: {self.why_ended()}", log=self.log)

    def _command(self, installed: Installed, port: int) -> list[str]:
        words = ["-m", "vllm.entrypoints.openai.api_server", "--model", self.model, "--served-model-name", self.name]
        words += ["--host", "127.0.0.1", "--port", str(port), "--enable-prompt-tokens-details"]
        if self._context is not None:
            words += ["--max-model-len", str(self._context)]
        if installed.device != "cpu" and self._memory is not None and EXPLICIT not in self._options:
            words += ["--gpu-memory-utilization", f"{self._memory:.4f}"]
        if installed.device == "cpu" and "enforce_eager" not in self._options:
            words.append("--enforce-eager")  # compiling takes minutes there and gains little
        return words + self._flags

    def _variables(self, installed: Installed) -> dict[str, str]:
        variables = {**os.environ, "VLLM_NO_USAGE_STATS": "1"}
        variables.pop("VLLM_API_KEY", None)
        if self.key is not None:
            variables["VLLM_API_KEY"] = self.key
        if os.path.isabs(self.model):
            variables.setdefault("HF_HUB_OFFLINE", "1")  # all of it is in the folder
        if installed.device == "cpu" and not {EXPLICIT, "kv_cache_memory_bytes"} & set(self._options):
            variables.setdefault(CACHE_SPACE, str(cpu_cache(self._memory)))
        return variables | self._environment

    def _launch(self, command: list[str], installed: Installed) -> subprocess.Popen[bytes]:
        handle, log = tempfile.mkstemp(prefix="laconic-vllm-", suffix=".log")
        os.close(handle)
        self.log = Path(log)
        with self._state:
            if self.stopped:
                raise ServerNotStarted(f"The vLLM server of {self.name!r} was closed before it had started.")
            process = self._process = subprocess.Popen(
                [sys.executable, "-P", str(Path(__file__).with_name("vllm_process.py"))],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                bufsize=0,
                env=self._variables(installed),
            )
            self._end = weakref.finalize(self, _end, process)
            assert process.stdin is not None
            process.stdin.write((json.dumps({"command": command, "log": log}) + "\n").encode())
        return process

    def _comes_up(self, process: subprocess.Popen[bytes], port: int) -> bool:
        """Wait until the server answers, as long as it takes; False if it has ended before."""
        assert process.stdout is not None
        try:
            while not _serves(port, self.name, self.key):
                if select.select([process.stdout], [], [], LOOK)[0]:
                    process.wait()
                    return False
        except (OSError, ValueError):  # it was stopped, and its pipe is closed
            return False
        return process.poll() is None

    def _exit_status(self) -> int | None:
        """The status of a server that has ended by itself, which the process that watched it said last."""
        process = self._process
        if self._status is None and process is not None and process.poll() is not None and process.stdout is not None:
            with suppress(ValueError):  # closed
                self._status = json.loads(process.stdout.readline() or "{}").get("exit")
        return self._status

    def _finish(self, *, keep_log: bool) -> None:
        with self._state:
            end, self._end = self._end, None
        if end is not None:
            end()
        if not keep_log and self.log is not None:
            self.log.unlink(missing_ok=True)

    def _said(self) -> str:
        """The end of the log."""
        if self.log is None or not self.log.exists():
            return ""
        with self.log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - LOG_READ))
            return file.read().decode(errors="replace")


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the process that watches the server, which first ends the server."""
    assert process.stdin is not None
    assert process.stdout is not None
    with suppress(OSError):
        process.stdin.close()
    try:
        process.wait(LAST_WORDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    finally:
        process.stdout.close()


def _serves(port: int, name: str, key: str | None) -> bool:
    """Whether a server on this port answers that it has the model."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/v1/models", headers={"authorization": f"Bearer {key}"} if key else {})
        response = connection.getresponse()
        found = json.loads(response.read()) if response.status == 200 else {}
        return name in {model["id"] for model in found.get("data", ())}
    except (OSError, http.client.HTTPException, ValueError, TypeError, KeyError):
        return False
    finally:
        connection.close()


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port


def _can_listen(port: int) -> bool:
    """Whether nobody listens on a port of this machine."""
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
