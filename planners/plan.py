"""The plan of ReWOO (Xu et al. 2023, arXiv 2305.18323): every tool call, fixed before any tool has run.

    Plan: find who composed the opera
    #E1 = search[Peter Grimes composer]
    Plan: find the town in which that composer was born
    #E2 = search[#E1 birthplace]

An input may mention results of earlier steps. Such references are parsed here, once, as tokens with a right boundary
(`#E12` is never `#E1` and a 2); what a tool returned is only ever inserted for them and never read again, so that a
document which contains `#E3` or `Plan:` changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from ..errors import PlanError
from .plan_text import WrittenStep, read_json, read_text, says_no_tool

_REFERENCE = re.compile(r"#[Ee]([0-9]+)(?!\w)")


@dataclass(frozen=True, slots=True)
class Ref:
    """A reference to the result of an earlier step, by its id (`E1`)."""

    id: str


@dataclass(frozen=True, slots=True)
class PlanStep:
    """One tool call: what it is for, which tool, and its input as text and references."""

    id: str
    reason: str
    tool: str
    argument: tuple[str | Ref, ...]

    @property
    def references(self) -> frozenset[str]:
        """Ids of the steps whose results the input needs."""
        return frozenset(part.id for part in self.argument if isinstance(part, Ref))

    def written(self) -> str:
        """The input as a plan writes it, references as `#E1`."""
        return "".join(f"#{part.id}" if isinstance(part, Ref) else part for part in self.argument)


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps in their order; each refers only to steps above it. No steps: the planner said that none is needed."""

    steps: tuple[PlanStep, ...]

    def substitute(self, step: PlanStep, evidence: Mapping[str, str]) -> str:
        """The input of `step` with results by id in place of its references. Inserted text is not parsed again."""
        return "".join(evidence[part.id] if isinstance(part, Ref) else part for part in step.argument)

    def render(self) -> str:
        """The plan in the text form that `parse_plan` reads."""
        lines = []
        for step in self.steps:
            lines += [f"Plan: {step.reason}"] if step.reason else []
            lines += [f"#{step.id} = {step.tool}[{step.written()}]"]
        return "\n".join(lines) or "No tool is needed."


def parse_plan(text: str, tools: Collection[str] = (), *, max_steps: int = 20, partial: bool = False) -> Plan:
    """Read a model's plan, in the text form or as JSON: a list of `{"id", "reason", "tool", "input"}`.

    Chatter around the plan is passed over; a tool's name is taken in any case; a tool that is not one of `tools` is no
    error. A step that repeats the very call of an earlier one is dropped and references to it lead to that one.

    Raises PlanError, with a message fit to be sent back to the model, for: no steps, an id given twice, a reference to
    an unknown or later step or to the step itself, a step that is not a call, more than `max_steps` steps. With
    `partial`, a step that cannot be used is left out, and with it what needs it; then only a plan of which nothing is
    left raises.
    """
    written = read_text(text, tools) or read_json(text, tools)
    if not written and says_no_tool(text):
        return Plan(())
    steps: list[PlanStep] = []
    known: dict[str, str] = {}
    calls: dict[tuple[str, tuple[str | Ref, ...]], str] = {}
    ids = [step.id for step in written]
    for step in written:
        try:
            checked = _checked(step, known, ids)
        except PlanError:
            if partial:
                continue
            raise
        same = calls.setdefault((checked.tool, checked.argument), step.id)
        known[step.id] = same
        if same == step.id:
            steps.append(checked)
    if not steps:
        raise PlanError("there is no step in the plan: write each step as a line such as #E1 = tool[input]")
    if len(steps) > max_steps and not partial:
        raise PlanError(f"the plan has {len(steps)} steps; at most {max_steps} are allowed, so keep only those needed")
    return Plan(tuple(steps[:max_steps]))


def _checked(step: WrittenStep, known: Mapping[str, str], ids: Collection[str]) -> PlanStep:
    """A step whose references lead to steps that really run; `known` leads every earlier id to such a step."""
    if step.id in known:
        raise PlanError(f"{step.where}: #{step.id} is defined twice; give every step its own number")
    if step.call is None:
        raise PlanError(f"{step.where}: #{step.id} is not a tool call; write #{step.id} = tool[input]")
    parts: list[str | Ref] = []
    for part in references(step.call.argument):
        if isinstance(part, Ref):
            if part.id == step.id:
                raise PlanError(f"{step.where}: #{step.id} refers to itself; an input may use only earlier results")
            if part.id not in known:
                why = "which is defined later" if part.id in ids else "which no step defines"
                raise PlanError(f"{step.where}: #{step.id} uses #{part.id}, {why}; use only results of earlier steps")
            part = Ref(known[part.id])
        parts.append(part)
    return PlanStep(step.id, step.reason, step.call.tool, tuple(parts))


def references(argument: str) -> tuple[str | Ref, ...]:
    """An input split into text and references; empty text is left out."""
    parts: list[str | Ref] = []
    position = 0
    for match in _REFERENCE.finditer(argument):
        if match.start() > position:
            parts.append(argument[position : match.start()])
        parts.append(Ref(step_id(match[1])))
        position = match.end()
    if position < len(argument):
        parts.append(argument[position:])
    return tuple(parts)


def step_id(digits: str) -> str:
    """`E7` for `7` and `07`."""
    return "E" + (digits.lstrip("0") or "0")
