"""The nodes that ReWOO adds to the running graph: the plan, each step's evidence, the solution, or a plain answer.

They hold text that is no template: nothing of a question, a plan or a document is ever rendered.
"""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from ..errors import PlanError
from ..orchestrator import Context, Node
from ..orchestrator.answer import short_answer
from ..tools.calling import call_tool, shorten
from .direct import answer_directly
from .exemplars import Turn
from .plan import Plan, PlanStep, parse_plan
from .prompts import Finding, compress_prompt, repair_prompt, solve_prompt

DISTILLED_TOKENS = 32
"""Most tokens of what a worker takes from a piece of evidence: a name, a date, a number."""


class Evidence(NamedTuple):
    """What a step brought: the text for the solver, and what is inserted where later inputs mention the step."""

    text: str
    gist: str


class PlanNode(Node):
    """Ask for the plan, once more if it cannot be used; the value is the plan, None if nothing of it can be used."""

    kind: ClassVar[str] = "plan"

    prompt: list[Turn]
    model: str
    tools: list[str]
    max_steps: int
    max_tokens: int

    async def run(self, ctx: Context) -> Plan | None:
        """One call, purpose `plan`, and at most one more, purpose `repair`; then what can be used of either."""
        said = await ctx.complete(self.prompt, model=self.model, purpose="plan", max_tokens=self.max_tokens)
        try:
            return parse_plan(said.text, self.tools, max_steps=self.max_steps)
        except PlanError as error:
            ctx.note(f"asked for a better plan: {error}")
            prompt = repair_prompt(self.prompt, said.text, str(error))
        again = await ctx.complete(prompt, model=self.model, purpose="repair", max_tokens=self.max_tokens)
        try:
            return parse_plan(again.text, self.tools, max_steps=self.max_steps)
        except PlanError as error:
            ctx.note(f"that plan cannot be used either: {error}")
        for text in (again.text, said.text):
            try:
                plan = parse_plan(text, self.tools, max_steps=self.max_steps, partial=True)
            except PlanError:
                continue
            ctx.note(f"followed the part of it that can be used: {', '.join(step.id for step in plan.steps)}")
            return plan
        return None


class EvidenceNode(Node):
    """Run one step of the plan; it starts when the steps that its input mentions are done."""

    kind: ClassVar[str] = "evidence"

    plan: Plan
    step: PlanStep
    tools: list[str]
    worker: str | None
    most_tokens: int
    reference_tokens: int

    def references(self) -> frozenset[str]:
        """The steps whose results the input needs."""
        return self.step.references

    async def run(self, ctx: Context) -> Evidence:
        """Call the tool; if a later input mentions the result, have the worker take from it what was looked for."""
        step = self.step
        gists = {id: ctx.values[id].gist for id in step.references}
        argument = self.plan.substitute(step, gists)
        found = await call_tool(ctx, self.tools, step.tool, argument, most_tokens=self.most_tokens)
        if found.failed or not found.text:
            return Evidence(found.text, "")
        gist = shorten(found.text, self.reference_tokens)
        mentioned = any(step.id in later.references for later in self.plan.steps)
        if mentioned and self.worker is not None and len(found.text.split()) > 5:
            said = await ctx.complete(
                compress_prompt(step.reason or argument, found.text),
                model=self.worker,
                purpose="compress",
                max_tokens=DISTILLED_TOKENS,
            )
            gist = short_answer(said.text) or gist
        return Evidence(found.text, gist)


class SolveNode(Node):
    """Answer the question from the evidence."""

    kind: ClassVar[str] = "solve"

    question: str
    plan: Plan
    model: str
    max_tokens: int

    def references(self) -> frozenset[str]:
        """Every step of the plan."""
        return frozenset(step.id for step in self.plan.steps)

    async def run(self, ctx: Context) -> str:
        """One call, purpose `solve`."""
        findings = [Finding(step.reason, ctx.values[step.id].text) for step in self.plan.steps]
        prompt = solve_prompt(self.question, findings)
        said = await ctx.complete(prompt, model=self.model, purpose="solve", max_tokens=self.max_tokens)
        return short_answer(said.text)


class PlainNode(Node):
    """Answer without tools, where there is no plan to follow."""

    kind: ClassVar[str] = "direct"

    question: str
    model: str
    max_tokens: int

    async def run(self, ctx: Context) -> str:
        """One call, purpose `answer`."""
        return await answer_directly(ctx, self.question, self.model, self.max_tokens)
