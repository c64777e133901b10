"""A folder to run commands in, and a model server on loopback that counts what it is asked."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from laconic.accounting.ledger import Ledger
from laconic.cli import app

SCRIPTED = """
name: capitals
inputs: {question: str}
models:
  large:
    backend: scripted
    model: script
    options: {rules: [{match: France, answer: Paris}, {match: ".", answer: unknown}]}
nodes:
  answer: {kind: prompt, prompt: "Answer: {{ question }}"}
outputs: {answer: "{{ answer }}"}
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LACONIC_STORE", raising=False)
    monkeypatch.setenv("COLUMNS", "200")
    (tmp_path / "flow.yaml").write_text(SCRIPTED)
    return tmp_path


@pytest.fixture
def laconic(here: Path) -> Callable[..., Result]:
    """Runs a command in the folder, as a shell would."""

    def call(*args: str) -> Result:
        return CliRunner().invoke(app, list(args), prog_name="laconic")

    return call


@pytest.fixture
def book(here: Path) -> Callable[[], Ledger]:
    """What the ledger file holds; nothing if there is none."""

    def read() -> Ledger:
        path = here / ".laconic" / "laconic.db"
        return Ledger.load(path) if path.exists() else Ledger()

    return read


class Server:
    """An OpenAI-compatible server that answers `A to` and the question, or what `reply` makes of it.

    It waits with the questions in which the words of `hold` are, and with number `hold_at`, until `open` is called.
    """

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.reply: Callable[[str], str] = lambda question: f"A to {question}"
        self.hold = ""
        self.hold_at = 0
        self._gate = threading.Event()
        self._held = threading.Event()
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                if self.path == "/v1/models":
                    self._send({"data": [{"id": "served"}]})
                else:
                    self._send({"error": "no such page"}, 404)

            def do_POST(self) -> None:
                request = json.loads(self.rfile.read(int(self.headers["content-length"])))
                question = request["messages"][-1]["content"]
                owner.asked.append(question)
                if (owner.hold and owner.hold in question) or len(owner.asked) == owner.hold_at:
                    owner._held.set()
                    owner._gate.wait(60)
                message = {"role": "assistant", "content": owner.reply(question)}
                usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
                self._send({"choices": [{"message": message, "finish_reason": "stop"}], "usage": usage})

            def _send(self, body: Any, status: int = 200) -> None:
                data = json.dumps(body).encode()
                try:
                    self.send_response(status)
                    self.send_header("content-type", "application/json")
                    self.send_header("content-length", str(len(data)))
                    self.end_headers()
                    self.wfile.write(data)
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True  # whoever asked was killed meanwhile

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def flow(self, model: str = "served") -> str:
        return f"""
name: asked
inputs: {{question: str}}
models:
  large: {{backend: openai, model: {model}, url: "{self.url}", retries: 0}}
nodes:
  answer: {{kind: prompt, prompt: "{{{{ question }}}}"}}
outputs: {{answer: "{{{{ answer }}}}"}}
"""

    def wait_until_held(self) -> None:
        assert self._held.wait(60), "nobody asked the question that is held"

    def open(self) -> None:
        self.hold = ""
        self.hold_at = 0
        self._gate.set()

    def stop(self) -> None:
        self.open()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.stop()


@pytest.fixture
def questions(here: Path) -> Path:
    path = here / "questions.jsonl"
    items = [{"id": f"q{i}", "question": f"question {i}", "answer": "x"} for i in range(1, 6)]
    path.write_text("".join(json.dumps(item) + "\n" for item in items))
    return path


@contextmanager
def started(here: Path, *args: str) -> Iterator[subprocess.Popen[str]]:
    """The command in a process of its own."""
    # A shell starts what it puts in the background with Ctrl-C ignored; here it must count wherever the tests run.
    code = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from laconic.cli import main; sys.argv[0] = 'laconic'; main()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, *args],
        cwd=here,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()


@pytest.fixture
def start(here: Path) -> Callable[..., AbstractContextManager[subprocess.Popen[str]]]:
    """Starts a command in a process of its own, which can be killed."""
    return functools.partial(started, here)
