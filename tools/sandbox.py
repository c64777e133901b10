"""Sandbox: Python code run in a process of its own, with limits on time, memory, output, files and network.

What it protects against: mistakes, and code of a model that was misled. The code runs without the environment, in an
empty folder that is removed; it computes, imports the standard library, and reads and writes files of that folder. The
kernel limits its time, memory, size of files and number of processes (the last not for root), and gives it a network
with nothing in it, where any user may have one (most Linux systems). A hook in the interpreter refuses sockets,
processes, and files elsewhere.

What it does not protect against: an attacker who knows the interpreter. The hook is Python guarding Python, not a
boundary, and a fault of CPython leads past it; only limits, environment and network are the kernel's. Run code of
people that you do not trust in a container or a virtual machine.
"""

from __future__ import annotations

import asyncio
import math
import os
import signal
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import msgspec

from ..errors import ToolError

MOST_OUTPUT = 10_000
"""Most bytes of what the code prints; code that prints more is stopped."""
_PROGRAM = Path(__file__).with_name("sandboxed.py")


class Ran(msgspec.Struct, frozen=True):
    """What became of a piece of code."""

    output: str
    """What it printed; if nothing, the value of its last expression, else of its variable `answer`."""
    error: str
    """Why it did not come to its end, in a sentence; empty if it did."""
    seconds: float
    """How long it ran, in seconds."""


async def run_python(code: str, *, seconds: float = 5, memory_mb: int = 256) -> Ran:
    """Run Python code for at most `seconds`, in at most `memory_mb` mebibytes (with the interpreter's own).

    Whatever the code does, this returns; when the caller is cancelled, the code is killed with all that it started.
    Raises ToolError where there is no sandbox (Windows).
    """
    if sys.platform == "win32":
        raise ToolError("Python code is not run on Windows: it has no limits that a process can be given")
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="laconic-", ignore_cleanup_errors=True) as folder:
        output, error = await _run(code, folder, seconds, memory_mb)
    return Ran(output, error, time.monotonic() - begun)


async def _run(code: str, folder: str, seconds: float, memory_mb: int) -> tuple[str, str]:
    limits = (str(math.ceil(seconds) + 1), str(memory_mb * 2**20))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-S", "-B", "-X", "utf8", str(_PROGRAM), "confine", *limits),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=folder,
        env={},
        start_new_session=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        async with asyncio.timeout(seconds):
            with suppress(ConnectionError):  # it ended before it had read the code
                process.stdin.write(code.encode("utf-8", "replace"))
                await process.stdin.drain()
            process.stdin.close()
            output = await _read(process.stdout)
            if len(output) > MOST_OUTPUT:
                return f"{_text(output[:MOST_OUTPUT])}…", f"it printed more than {MOST_OUTPUT:,} bytes and was stopped"
            complaint = _text(await _read(process.stderr))
            status = await process.wait()
    except TimeoutError:
        return "", f"it took longer than {seconds:g} s and was stopped"
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.communicate()  # reads what is left in the pipes: until then the process does not count as ended
    if status == 0:
        return _text(output), ""
    return _text(output), complaint or f"the interpreter ended with the status {status}"


async def _read(stream: asyncio.StreamReader) -> bytes:
    """What comes, to its end; or a little more than is let through."""
    read = b""
    while len(read) <= MOST_OUTPUT and (chunk := await stream.read(MOST_OUTPUT + 1)):
        read += chunk
    return read


def _text(output: bytes) -> str:
    return output.decode("utf-8", "replace").strip()
