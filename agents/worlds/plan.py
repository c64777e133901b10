"""Plan: what every robot does in one step, in one line: `robot1: move red east; robot2: wait`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

WAIT = "wait"
"""What a robot does that a plan does not name."""
_PARTS = re.compile(r"[;,\n]")
_AROUND = " \t*_`\"'.()[]{}"
"""What models put around a name or an action."""
_QUOTED = 60
"""Most characters of a plan that a complaint repeats."""


@dataclass(frozen=True)
class Plan:
    """A plan as it was read."""

    actions: Mapping[str, str]
    """What each robot does that does not wait, in small letters, in the order of the robots."""
    unread: tuple[str, ...] = ()
    """What is wrong with its form, in words that whoever wrote it can use."""


def read_plan(text: str, names: Sequence[str]) -> Plan:
    """The plan in `text`, whatever its case and spaces; what cannot be read is said and left out."""
    known = {name.casefold(): name for name in names}
    said: dict[str, str] = {}
    unread = []
    for part in filter(None, (part.strip(_AROUND) for part in _PARTS.split(text))):
        before, colon, after = part.partition(":")
        robot = known.get("".join(before.strip(_AROUND).casefold().split()))
        action = " ".join(after.strip(_AROUND).lower().split())
        if not colon or not action:
            unread.append(f"{_quoted(part)} is no part of a plan, which is written NAME: ACTION; NAME: ACTION")
        elif robot is None:
            unread.append(f"there is no robot {_quoted(before.strip())}")
        elif robot in said:
            unread.append(f"{robot} is told to do two things")
        else:
            said[robot] = action
    if not said and not unread:
        unread.append("the plan is empty: it is written NAME: ACTION; NAME: ACTION")
    return Plan({name: said[name] for name in names if said.get(name, WAIT) != WAIT}, tuple(unread))


def write_plan(actions: Mapping[str, str], names: Sequence[str]) -> str:
    """The line that `read_plan` reads back; robots that wait are left out, unless all do."""
    acting = [f"{name}: {actions[name]}" for name in names if actions.get(name, WAIT) != WAIT]
    return "; ".join(acting) or f"{names[0]}: {WAIT}"


def _quoted(text: str) -> str:
    return repr(text if len(text) <= _QUOTED else f"{text[:_QUOTED]}...")
