"""Scripted robots: what they answer to any prompt of any topology, so that what a topology costs is countable."""

from __future__ import annotations

import re

from ...backends.request import Request
from .world import read_state

AGREE = "A"
"""The token that agrees, where one token is asked for."""
_IDENTITY = re.compile(r"^You are ([\w-]+)\.", re.MULTILINE)


def robots(request: Request) -> str:
    """The answer of whichever robot is asked, for a `ScriptedBackend`.

    It agrees when it is asked for a single token, since all follow one policy. Otherwise it gives the policy's plan for
    the state in the prompt. Raises ValueError if the prompt tells of no world, or does not say who is asked.
    """
    turns = request.messages or ()
    if not any(_IDENTITY.search(turn.content) for turn in turns if turn.role == "system"):
        raise ValueError("the prompt does not say who is asked")
    if request.max_tokens == 1:
        return AGREE
    return f"Answer: {read_state(chr(10).join(turn.content for turn in turns)).policy()}"
