"""One turn of a ReAct trace (Yao et al. 2023, arXiv 2210.03629): a thought, then an action or the answer.

    Thought: the town is still missing
    Action: search[Benjamin Britten birthplace]

Only what the model wrote in this turn is read. Observations are turns of their own and never come here, and what a
model makes up behind an `Observation:` of its own is cut off.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from ..orchestrator.answer import short_answer, unmarked
from ..tools.text_call import Call, read_call

_LINE = r"(?im)^[\s>*`_#-]*(?:[0-9]{1,3}[.)]\s*)?"
_BEHIND = r"(?:\s*[0-9]{1,3})?[\s*`_]*:[*`_]*"
_OBSERVATION = re.compile(_LINE + r"observation" + _BEHIND)
_ACTION = re.compile(_LINE + r"action" + _BEHIND)
_INPUT = re.compile(_LINE + r"action[ _]input" + _BEHIND + r"([^\n]*)")
_ANSWER = re.compile(_LINE + r"(?:final )?answer" + _BEHIND)
_ANSWER_IN_LINE = re.compile(r"(?i)(?<=[.!?])\s+(?:final )?answer\s*:")
_THOUGHT = re.compile(_LINE + r"thought" + _BEHIND)
_FINISHING = frozenset({"finish", "answer", "final_answer"})


@dataclass(frozen=True, slots=True)
class Action:
    """The model wants a tool called."""

    thought: str
    tool: str
    argument: str


@dataclass(frozen=True, slots=True)
class Finish:
    """The model gives its answer."""

    thought: str
    answer: str


@dataclass(frozen=True, slots=True)
class Malformed:
    """Neither; `reason` is fit to be sent back to the model. It shows no form to fill in: small models copy that."""

    reason: str


def parse_turn(text: str, tools: Collection[str] = ()) -> Action | Finish | Malformed:
    """Read one assistant turn; of several actions or answers the first counts, as nothing has been observed yet.

    A tool that is not one of `tools` is no error; one that is may be written in any case and without `Action:`.
    """
    cut = _OBSERVATION.search(text)
    text = text[: cut.start()] if cut else text
    action, answer = _ACTION.search(text), _ANSWER.search(text)
    if action is None and answer is None:
        answer = _ANSWER_IN_LINE.search(text)
    if answer is not None and (action is None or answer.start() < action.start()):
        found = short_answer(text[answer.start() :].strip())
        if found:
            return Finish(_thought(text[: answer.start()]), found)
        return Malformed("the Answer is empty")
    if action is not None:
        call = _called(text[action.end() :], tools)
        if call is None:
            return Malformed("the Action is not a tool call")
        thought = _thought(text[: action.start()])
        if call.tool.casefold() in _FINISHING and call.tool not in tools:
            found = unmarked(call.argument)
            return Finish(thought, found) if found else Malformed("the Answer is empty")
        return Action(thought, call.tool, call.argument)
    return _bare_call(text, tools) or Malformed("it has neither an Action nor an Answer")


def _called(text: str, tools: Collection[str]) -> Call | None:
    """The call behind `Action:`, also in the form of a name and an `Action Input:` line."""
    call = read_call(text.lstrip().split("\n", 1)[0], tools)
    if call is not None and call.argument:
        return call
    given = _INPUT.search(text)
    name = re.match(r"[\s*`_]*([A-Za-z][\w-]*)", text)
    if given is not None and name is not None:
        return read_call(f"{name[1]}[{given[1].strip()}]", tools)
    whole = read_call(text, tools)
    return whole if whole is not None and whole.closed else call


def _bare_call(text: str, tools: Collection[str]) -> Action | None:
    """A line that is a call of a known tool, without `Action:`."""
    for match in re.finditer(r"(?m)^[\s*`>-]*(?=[A-Za-z][\w-]*[*`]*[\[(])", text):
        call = read_call(text[match.end() :].split("\n", 1)[0], tools)
        if call is not None and call.tool in tools:
            return Action(_thought(text[: match.start()]), call.tool, call.argument)
    return None


def _thought(text: str) -> str:
    return _THOUGHT.sub("", text, count=1).strip()
