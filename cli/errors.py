"""How a command ends: one message on stderr, an exit status, never a traceback for an error of ours."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import typer

from ..errors import BudgetExceeded, FlowError, LaconicError
from .text import harmless

OK, FAILED, WRONG_INPUT, BUDGET, STOPPED = 0, 1, 2, 3, 130

Command = TypeVar("Command", bound=Callable[..., Any])


def exit_status(error: BaseException | None) -> int:
    """The exit status that stands for an error."""
    if error is None:
        return OK
    if isinstance(error, BudgetExceeded):
        return BUDGET
    return WRONG_INPUT if isinstance(error, FlowError) else FAILED


def say(message: str) -> None:
    """A message to the person at the terminal, as it is: no markup is read in it."""
    sys.stderr.write(f"{harmless(message)}\n")
    sys.stderr.flush()


def guarded(command: Command) -> Command:
    """A command whose errors become a message and an exit status."""

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except LaconicError as error:
            say(f"error: {error}")
            raise typer.Exit(exit_status(error)) from None
        except KeyboardInterrupt:
            say("stopped")
            raise typer.Exit(STOPPED) from None
        except BrokenPipeError:
            # Whoever read our output has gone; what Python still wants to write at exit must go nowhere.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(OK) from None

    return run  # type: ignore[return-value]  # it has the signature of `command`, which typer reads through `__wrapped__`
