"""Run as a program: a vLLM server and everything it starts, which end when the one that started this does.

vLLM is several processes (the API server, its engine, a worker for each device), and any of them may hang or be killed.
They run in a session of their own, out of reach of a Ctrl-C, and end together. This file imports nothing of Laconic.

Input, one line of JSON: `{command: [...], log}`. Output, one line when the server has ended by itself: `{exit}`, its
status. The end of the input, which comes with the end of the caller however that happens, ends the server.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress

PATIENCE = 5.0
"""Seconds that the server has to end in order, before it is killed."""
LOOK = 0.05
"""Seconds between two looks at whether it has."""
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
"""Options of Linux's prctl."""


def main() -> None:
    """Start the server, and stay until it or the input ends."""
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    # Handled, not ignored, because what is ignored stays ignored in the server. The end of the input is what counts.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, _go_on)
    asked = json.loads(os.read(0, 1 << 20))
    prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else _nothing
    prctl(PR_SET_CHILD_SUBREAPER, 1)  # so that an engine that has lost its server is our child, and is seen to end
    with open(asked["log"], "ab") as log:
        server = subprocess.Popen(
            asked["command"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=lambda: prctl(PR_SET_PDEATHSIG, signal.SIGTERM),  # safe, since no other thread runs here
        )
    while server.poll() is None:
        ready, _, _ = select.select([0, woken], [], [])
        if 0 in ready:
            break
        os.read(woken, 512)
    status = server.poll()
    if status is None:
        end(server)
    else:
        with suppress(BrokenPipeError):  # nobody is left to hear it
            os.write(1, (json.dumps({"exit": status}) + "\n").encode())
        _kill(server)  # an engine that has lost its server has nothing left to end in order


def end(server: subprocess.Popen[bytes]) -> None:
    """End all processes of the server's group: asked first, killed if they do not."""
    last = time.monotonic() + PATIENCE
    with suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGTERM)
    while _runs(server) and time.monotonic() < last:
        time.sleep(LOOK)
    _kill(server)


def _kill(server: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGKILL)
    server.wait()


def _runs(server: subprocess.Popen[bytes]) -> bool:
    """Whether a process of the group runs, after taking note of those that ended."""
    if server.poll() is not None:
        with suppress(ChildProcessError):
            while os.waitpid(-server.pid, os.WNOHANG)[0]:
                pass
    try:
        os.killpg(server.pid, 0)
    except ProcessLookupError:
        return False
    return True


def _go_on(number: int, frame: object) -> None:
    """A signal that is not for us to act on."""


def _nothing(option: int, value: int) -> None:
    """Other systems have no prctl."""


if __name__ == "__main__":
    main()
