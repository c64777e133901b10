"""From what a model wrote to the steps it wrote, as text or as JSON; `plan.py` checks what they say.

Small models wrap a plan in code fences and markdown, number its lines, write `E1 =` for `#E1 =`, put a step behind its
`Plan:` on one line, break an input over several lines. All of that is read; anything else around it is passed over.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

from ..tools.text_call import Call, canonical, read_call

_MARKS = r"[\s>*`_•-]*(?:[0-9]{1,3}[.)][\s*`_]*)?"
_STEP = re.compile(_MARKS + r"#?[Ee]([0-9]+)[*`_]*\s*(?::=|=|:)(.*)", re.DOTALL)
_PLAN = re.compile(_MARKS + r"#*\s*plan\b[\s*`_]*[0-9]{0,3}[\s*`_]*:[\s*`_]*(.*)", re.IGNORECASE | re.DOTALL)
_STEP_BEHIND_PLAN = re.compile(r"\s#[Ee][0-9]+\s*=\s*[A-Za-z][\w-]*\s*[\[(]")
_FENCE = re.compile(r"\s*```")
_NO_TOOL = re.compile(r"\bno (?:tools?|tool calls?|steps?) (?:is|are) (?:needed|required|necessary)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class WrittenStep:
    """A step as written. `call` is None if what stands behind `#E1 =` is not a call; `where` says where it stands."""

    id: str
    reason: str
    call: Call | None
    where: str


def read_text(text: str, tools: Collection[str]) -> list[WrittenStep]:
    """The steps of a plan in the text form; empty if there is none."""
    lines = [(number, part) for number, line in enumerate(text.splitlines(), 1) for part in _split(line)]
    steps: list[WrittenStep] = []
    reason: list[str] | None = None  # lines since the last `Plan:`; None once its step is there
    for at, (number, line) in enumerate(lines):
        if match := _STEP.fullmatch(line):
            call = _call(match[2], [following for _, following in lines[at + 1 :]], tools)
            words = " ".join(reason or ()).strip().rstrip("*")
            steps.append(WrittenStep("E" + (match[1].lstrip("0") or "0"), words, call, f"line {number}"))
            reason = None
        elif match := _PLAN.fullmatch(line):
            reason = [match[1].strip()]
        elif reason is not None and line.strip() and not _FENCE.match(line):
            reason.append(line.strip())
    return steps


def _split(line: str) -> list[str]:
    """`Plan: why. #E1 = tool[input]` as its two lines; any other line as it is."""
    behind = _STEP_BEHIND_PLAN.search(line) if _PLAN.fullmatch(line) else None
    return [line[: behind.start()], line[behind.start() + 1 :]] if behind else [line]


def _call(first: str, following: list[str], tools: Collection[str]) -> Call | None:
    """The call on this line; if a bracket stays open, on this line and those up to the next step or `Plan:`."""
    call = read_call(first, tools)
    if call is None or (call.closed and _balanced(call.argument)):
        return call
    block = [first]
    for line in following:
        if _STEP.fullmatch(line) or _PLAN.fullmatch(line) or _FENCE.match(line):
            break
        block.append(line)
    whole = read_call("\n".join(block), tools)
    return whole if whole is not None and whole.closed and _balanced(whole.argument) else replace(call, closed=True)


def _balanced(text: str) -> bool:
    return text.count("[") == text.count("]") and text.count("(") == text.count(")")


def read_json(text: str, tools: Collection[str]) -> list[WrittenStep]:
    """The steps of a plan written as JSON: a list of steps, or a mapping that holds one; empty if there is none."""
    steps: list[WrittenStep] = []
    for position, item in enumerate(_json_list(text), 1):
        if not isinstance(item, dict):
            continue
        digits = re.fullmatch(r"#?[Ee]?([0-9]+)", str(item.get("id", position)).strip())
        tool, argument = item.get("tool"), item.get("input", "")
        if isinstance(argument, dict) and len(argument) == 1:
            argument = next(iter(argument.values()))
        if not isinstance(argument, str):
            argument = json.dumps(argument, ensure_ascii=False)
        call = (
            Call(canonical(tool.strip(), tools), argument.strip()) if isinstance(tool, str) and tool.strip() else None
        )
        name = "E" + ((digits[1] if digits else str(position)).lstrip("0") or "0")
        steps.append(WrittenStep(name, str(item.get("reason") or "").strip(), call, f"step {position}"))
    return steps


def _json_list(text: str) -> list[Any]:
    decoder = json.JSONDecoder()
    for start in (match.start() for match in re.finditer(r"[\[{]", text[:10_000])):
        try:
            found, _ = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            continue
        if isinstance(found, dict):
            found = next((value for value in found.values() if isinstance(value, list)), [])
        if isinstance(found, list) and any(isinstance(item, dict) and "tool" in item for item in found):
            return found
    return []


def says_no_tool(text: str) -> bool:
    """Whether a text without steps says that no tool is needed."""
    return _NO_TOOL.search(text) is not None
