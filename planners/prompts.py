"""The prompts of direct, chain-of-thought, ReAct and ReWOO answering, as chat turns.

What is the same for every question (instruction, tools, examples) comes first and the question last, so that a server's
prefix cache computes the stable part once. The wording is this project's own, chosen on small local models.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ..tools.calling import ToolLine
from .exemplars import EXEMPLARS, Exemplar, Turn, cot_turns, plan_turns, react_turns


class Finding(NamedTuple):
    """What one step of a plan was for, and what its tool returned."""

    reason: str
    evidence: str


DIRECT = "Answer the question with a few words only."

COT = (
    "Answer the question. Think first, in one or two short sentences. "
    'Then write a last line that starts with "Answer:" and gives the answer in a few words.'
)

REACT = """Answer the question by calling tools, one call in a turn.
Tools:
{tools}
In each turn write
Thought: what you have found, and what you still need
Action: tool[input]
and stop. You are then given the Observation. Go on until an observation states the answer. Then write
Thought: the conclusion
Answer: the answer in a few words"""

PLAN = """Plan which tool calls gather the facts that answer the question. Do not answer it.
Tools:
{tools}
Write for each step two lines:
Plan: what this step finds
#E1 = tool[input]
Number the results #E1, #E2, and so on. An input may use an earlier result, such as #E1. \
Use as few steps as possible."""

SOLVE = "Answer the question from the evidence with a few words only. Some of the evidence may be noise."

COMPRESS = "Read the passages and reply with only the name, date or number asked for."

LAST_TURN = "No more actions are possible. Write the Answer line now."


def direct_prompt(question: str) -> list[Turn]:
    """Only the question."""
    return [_system(DIRECT), _question(question)]


def cot_prompt(question: str, exemplars: Sequence[Exemplar] = EXEMPLARS) -> list[Turn]:
    """The question after examples that think before they answer."""
    return [_system(COT), *(turn for exemplar in exemplars for turn in cot_turns(exemplar)), _question(question)]


def react_prompt(question: str, tools: Sequence[ToolLine], exemplars: Sequence[Exemplar] = EXEMPLARS) -> list[Turn]:
    """How a ReAct conversation begins.

    It goes on in real turns: what the model wrote as the assistant's, then `observation`. A small chat model that gets
    its own trace back inside one user message starts over and never finishes.
    """
    shown = (turn for exemplar in exemplars for turn in react_turns(exemplar))
    return [_system(REACT.format(tools=_listed(tools))), *shown, _question(question)]


def observation(text: str, *, last: bool = False) -> Turn:
    """What a tool returned, as the next user turn; `last` says that the model must answer now."""
    return {"role": "user", "content": f"Observation: {text}\n{LAST_TURN}" if last else f"Observation: {text}"}


def plan_prompt(question: str, tools: Sequence[ToolLine], exemplars: Sequence[Exemplar] = EXEMPLARS) -> list[Turn]:
    """ReWOO's planner."""
    shown = (turn for exemplar in exemplars for turn in plan_turns(exemplar))
    return [_system(PLAN.format(tools=_listed(tools))), *shown, _question(question)]


def repair_prompt(planned: Sequence[Turn], written: str, problem: str) -> list[Turn]:
    """The planner's conversation continued: what it wrote, and what was wrong with it."""
    asked = f"This plan cannot be used: {problem}. Write the whole plan again."
    return [*planned, {"role": "assistant", "content": written}, {"role": "user", "content": asked}]


def solve_prompt(question: str, findings: Sequence[Finding]) -> list[Turn]:
    """ReWOO's solver: what each step was for and what it returned, then the question.

    A line of evidence that an earlier step returned too (searches of one plan overlap) is written once.
    """
    seen: set[str] = set()
    parts = []
    for finding in findings:
        lines = [line for line in finding.evidence.splitlines() if line.strip() and line not in seen]
        seen.update(lines)
        parts.append("\n".join([*([finding.reason] if finding.reason else []), *(lines or ["(nothing new)"])]))
    parts.append(f"Question: {question}")
    return [_system(SOLVE), {"role": "user", "content": "\n\n".join(parts)}]


def compress_prompt(wanted: str, evidence: str) -> list[Turn]:
    """For ReWOO's worker: the one thing that a step was to find, out of what its tool returned."""
    return [_system(COMPRESS), {"role": "user", "content": f"{evidence}\n\nAsked: {wanted}"}]


def _system(text: str) -> Turn:
    return {"role": "system", "content": text}


def _question(question: str) -> Turn:
    return {"role": "user", "content": f"Question: {question}"}


def _listed(tools: Sequence[ToolLine]) -> str:
    return "\n".join(f"{tool.name}[{tool.argument_hint}]: {tool.description}" for tool in tools)
