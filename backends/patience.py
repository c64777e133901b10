"""A limit in time for calls that know none of their own, such as a name look-up or another library's download."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def within(seconds: float, act: Callable[[], T], *, name: str = "laconic-patience") -> T:
    """What `act` returns or raises, or `TimeoutError` if it takes longer than `seconds`.

    It runs in a daemon thread. A call that hangs is left to itself, and does not keep the process from ending.
    """
    done: list[T] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            done.append(act())
        except BaseException as error:  # handed to the caller, whatever it is
            failed.append(error)

    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    thread.join(seconds)
    if failed:
        raise failed[0]
    if done:
        return done[0]
    raise TimeoutError(f"no answer within {seconds:g} s")
