"""Code that is run apart: what it gives, and what it cannot do."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from laconic.tools.sandbox import MOST_OUTPUT, run_python

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no sandbox on Windows")


@pytest.mark.parametrize(
    ("code", "output"),
    [
        ("print(6 * 7)", "42"),
        ("x = 6\nx * 7", "42"),
        ("answer = 6 * 7", "42"),
        ("answer = 1\nprint(2)", "2"),
        ("def f(n):\n    return n * f(n - 1) if n else 1\nf(5)", "120"),
        ("import math, statistics, datetime, decimal, fractions, re, json, random\nmath.comb(5, 2)", "10"),
        ("from dataclasses import dataclass\n@dataclass\nclass A:\n    x: int = 3\nA().x", "3"),
        ("if __name__ == '__main__':\n    print('é', '\\ud800')", "é ?"),
        ("print('before'); raise SystemExit(3)", "before"),
        ("open('note', 'w').write('kept'); print(open('note').read())", "kept"),
        ("import sys, warnings; warnings.warn('x'); print('x' is 'y', sys.stdin.read() == '')", "False True"),
        ("", ""),
    ],
)
async def test_what_it_prints_or_is_worth_comes_back(code: str, output: str) -> None:
    ran = await run_python(code)
    assert (ran.output, ran.error) == (output, "")
    assert 0 < ran.seconds < 5


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("x = 1\ny = x +", "SyntaxError: invalid syntax (line 2)"),
        ("x = 1\nprint(nope)", "NameError: name 'nope' is not defined (line 2)"),
        ("import json\n\njson.loads('{')", "JSONDecodeError: Expecting property name"),
        ("def f(): f()\nf()", "RecursionError: maximum recursion depth exceeded"),
        ("import numpy", "ModuleNotFoundError: No module named 'numpy'"),
        ("x = [0] * 10**10", "MemoryError: it needs more memory than it is given (line 1)"),
        ("x = []\nwhile True: x.append('x' * 10**6)", "MemoryError: it needs more memory than it is given (line 2)"),
        ("a\0b", "null bytes"),
        ("import os; os._exit(7)", "the interpreter ended with the status 7"),
        ("import os; os.abort()", "the interpreter ended with the status -6"),
    ],
)
async def test_a_failure_is_one_line_that_says_what_and_where(code: str, error: str) -> None:
    ran = await run_python(code)
    assert error in ran.error
    assert "\n" not in ran.error


async def test_what_was_printed_before_a_failure_is_kept() -> None:
    ran = await run_python("print('so far')\n1 / 0")
    assert (ran.output, ran.error) == ("so far", "ZeroDivisionError: division by zero (line 2)")


@pytest.mark.parametrize(
    "code", ["while True: pass", "import time; time.sleep(60)", "try:\n    while 1: pass\nfinally:\n    while 1: pass"]
)
async def test_code_that_does_not_end_is_ended(code: str) -> None:
    ran = await run_python(code, seconds=0.5)
    assert ran.error == "it took longer than 0.5 s and was stopped"
    assert ran.seconds < 5


@pytest.mark.parametrize("code", ["while True: print('x' * 1000)", "import os\nwhile True: os.write(1, b'x' * 1000)"])
async def test_too_much_output_is_cut_and_ends_it(code: str) -> None:
    ran = await run_python(code, seconds=30)
    assert ran.error == f"it printed more than {MOST_OUTPUT:,} bytes and was stopped"
    assert len(ran.output) == MOST_OUTPUT + 1
    assert ran.seconds < 20


DENIED = [
    "import socket; socket.create_connection(('127.0.0.1', {port}))",
    "import _socket; _socket.socket()",
    "import urllib.request; urllib.request.urlopen('http://127.0.0.1:{port}')",
    "import os; os.fork()",
    "import os; os.system('touch {folder}/made')",
    "import os; os.execv('/bin/sh', ['sh', '-c', 'touch {folder}/made'])",
    "import os; os.posix_spawn('/bin/touch', ['touch', '{folder}/made'], {{}})",
    "import subprocess; subprocess.run(['touch', '{folder}/made'])",
    "import _posixsubprocess",
    "import ctypes; ctypes.CDLL(None).system(b'touch {folder}/made')",
    "import multiprocessing",
    "import _xxsubinterpreters",
    "import os; os.kill(os.getppid(), 9)",
    "open('{folder}/made', 'w')",
    "open('../made', 'w')",
    "import os; os.open('{folder}/made', os.O_CREAT)",
    "import pathlib; pathlib.Path('{folder}/made').write_text('x')",
    "import os; os.mkdir('{folder}/made')",
    "import os; os.remove('{folder}/secret')",
    "import os; os.rename('{folder}/secret', '{folder}/made')",
    "import os; os.symlink('{folder}/secret', 'link'); print(open('link').read())",
    "import os; os.chdir('{folder}'); print(open('secret').read())",
    "import os; os.truncate('{folder}/secret', 0)",
    "import shutil; shutil.rmtree('{folder}')",
    "import sqlite3; sqlite3.connect('{folder}/made')",
    "print(open('{folder}/secret').read())",
    "print(open(b'{folder}/secret').read())",
    "print(open('/proc/self/../{parent}/environ').read())",
    "print(open('/proc/{parent}/environ').read())",
    "print(open('/etc/passwd').read())",
    "import os; print(os.listdir('/'))",
    "import os; print(os.listdir('..'))",
    "import gc; gc.get_objects()",
    "import resource; resource.setrlimit(resource.RLIMIT_CPU, (99, 99))",
    # A text that lies about itself.
    "class Liar(str):\n    def startswith(self, *_): return True\n    def split(self, *_): return []\n"
    "    def rstrip(self, *_): return ''\nprint(open(Liar('{folder}/secret')).read())",
    # Other built-in functions than those the guard was made with.
    "import builtins\nbefore = builtins.isinstance, builtins.str\n"
    "builtins.isinstance, builtins.str = (lambda *_: True), int\n"
    "try:\n    print(open('{folder}/secret').read())\nfinally:\n    builtins.isinstance, builtins.str = before",
]


@pytest.mark.parametrize("code", DENIED)
async def test_what_reaches_out_is_refused(code: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("treasure")
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        server.settimeout(0)
        ran = await run_python(code.format(folder=tmp_path, parent=os.getpid(), port=server.getsockname()[1]))
        with pytest.raises(BlockingIOError):
            server.accept()
    assert ran.error.startswith("PermissionError: the sandbox")
    assert "treasure" not in ran.output
    assert contents(tmp_path) == {"secret": "treasure"}


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


async def test_secrets_of_the_environment_are_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_KEY", "treasure")
    ran = await run_python("import os; print('API_KEY' in os.environ, len(os.environ) < 3)")
    assert (ran.output, ran.error) == ("False True", "")


async def test_a_file_cannot_grow_without_end() -> None:
    ran = await run_python("with open('f', 'wb') as f:\n    while True: f.write(bytes(10**5))")
    assert "File too large" in ran.error


async def test_its_folder_is_empty_and_gone_afterwards() -> None:
    ran = await run_python("import os; open('f', 'w').close(); print(os.listdir(), os.getcwd())")
    listed, _, folder = ran.output.partition(" ")
    assert listed == "['f']"
    assert not os.path.exists(folder)  # noqa: ASYNC240 - a look at what is left, nothing waits


@pytest.mark.parametrize("give_up", [0.0, 0.3])
async def test_who_gives_up_ends_it(give_up: float) -> None:
    before = children()
    running = asyncio.create_task(run_python("while True: pass", seconds=600))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(running, give_up)
    assert children() == before


def children() -> set[int]:
    """Processes of ours that are still there."""
    if sys.platform != "linux":
        return set()
    tasks = Path(f"/proc/{os.getpid()}/task")
    return {int(child) for task in tasks.iterdir() for child in (task / "children").read_text().split()}


async def test_many_run_at_once() -> None:
    ran = await asyncio.gather(*(run_python(f"print({n})", seconds=60) for n in range(12)))
    assert [one.output for one in ran] == [str(n) for n in range(12)]


async def test_the_tool_answers_with_the_output_or_says_why_not(use: Any) -> None:
    result = await use({"kind": "python"}, "print(sum(range(10)))")
    assert result.outputs["said"] == "45"
    result = await use({"kind": "python", "seconds": 0.5}, {"code": "while True: pass"})
    assert "the code failed: it took longer than 0.5 s" in str(result.error)
