"""Stopping a run from outside: Ctrl-C and a plain `kill` both let it book what it spent and say how it ended."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")


def run_to_the_end(work: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run`, in which SIGTERM cancels the work as SIGINT does. Raises KeyboardInterrupt for both."""

    async def stoppable() -> T:
        task = asyncio.current_task()
        assert task is not None, "a coroutine that runs is a task"
        # Not on Windows, nor outside the main thread; there SIGTERM ends the process at once.
        with suppress(NotImplementedError, RuntimeError, ValueError):
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        return await work

    try:
        return asyncio.run(stoppable())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
