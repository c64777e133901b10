"""Run as a program: ends what an engine started, when the process that had the engine is gone.

vLLM's engine process would outlive a caller that was killed. All processes of an engine have a mark of ours in their
environment. The end of the input, which comes with the end of the caller however that happens, kills those that are
still there. Works where `/proc` is. This file imports nothing of Laconic.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

MARK = "LACONIC_VLLM_ENGINE"
"""The environment variable that says whose engine a process belongs to."""


def main(mark: str) -> None:
    """Wait for the end of the input, then end every process with the mark."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is the caller's to handle, who then closes our input
    sys.stdin.read()
    wanted = f"{MARK}={mark}".encode()
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if wanted in (entry / "environ").read_bytes().split(b"\0") and int(entry.name) != os.getpid():
                os.kill(int(entry.name), signal.SIGKILL)


if __name__ == "__main__":
    main(sys.argv[1])
