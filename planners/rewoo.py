"""`kind: rewoo`: reasoning without observation (Xu et al. 2023, arXiv 2305.18323).

A planner writes all tool calls at once, the tools run, a solver reads what they returned: instruction and question are
sent twice, examples once, each result once, however many steps there are. Because the plan is fixed before any tool has
run, nothing that a tool returns can add, change or reorder tool calls; it can only become part of a later input where
the plan says so.

The plan is a graph: every step is a node of its own, so steps that do not need each other run at the same time.
"""

from __future__ import annotations

from pydantic import Field

from ..orchestrator import Context, ModelRole, Node, Template, ToolName, kind
from ..tools.calling import tool_lines
from .examples import Examples, fitting
from .plan import Plan
from .prompts import plan_prompt
from .rewoo_steps import EvidenceNode, PlainNode, PlanNode, SolveNode


@kind("rewoo")
class ReWOO(Node):
    """Plan every tool call at once, run them, and answer from the evidence; the value is the short answer.

    Caps on evidence are cut at about four characters a token.
    """

    question: Template = Field(description="What is asked.")
    planner: ModelRole = Field(default="large", description="The role that writes the plan.")
    solver: ModelRole = Field(default="large", description="The role that answers from the evidence.")
    worker: ModelRole | None = Field(
        default=None,
        description="A role that takes the name, date or number out of a result which a later input mentions; "
        "null inserts the beginning of the result itself.",
    )
    tools: list[ToolName] = Field(description="The flow's tools that a plan may call.", min_length=1)
    max_steps: int = Field(default=8, ge=1, description="Most steps of a plan.")
    plan_tokens: int = Field(default=256, ge=1, description="Most tokens of a plan.")
    evidence_tokens: int = Field(default=400, ge=8, description="About how many tokens of each result are kept.")
    reference_tokens: int = Field(
        default=40, ge=1, description="About how many tokens of a result are inserted where a later input mentions it."
    )
    answer_tokens: int = Field(default=64, ge=1, description="Most tokens of the answer.")
    exemplars: Examples = Field(default=True, description="The built-in worked examples, none, or your own.")

    async def run(self, ctx: Context) -> str:
        """Children: `plan`, then `E1`, `E2`, ... and `solve`; `direct` instead if there is no plan to follow."""
        question = ctx.text(self.question)
        shown = fitting(self.exemplars, ctx.tools, self.tools)
        planning = PlanNode(
            prompt=plan_prompt(question, tool_lines(ctx.tools, self.tools), shown),
            model=self.planner,
            tools=self.tools,
            max_steps=self.max_steps,
            max_tokens=self.plan_tokens,
        )
        plan: Plan | None = (await ctx.expand({"plan": planning}))["plan"]
        if plan is None or not plan.steps:
            ctx.note("the plan could not be used; answered directly" if plan is None else "the plan needs no tool")
            plain = PlainNode(question=question, model=self.solver, max_tokens=self.answer_tokens)
            return str((await ctx.expand({"direct": plain}))["direct"])
        nodes: dict[str, Node] = {
            step.id: EvidenceNode(
                plan=plan,
                step=step,
                tools=self.tools,
                worker=self.worker,
                most_tokens=self.evidence_tokens,
                reference_tokens=self.reference_tokens,
            )
            for step in plan.steps
        }
        nodes["solve"] = SolveNode(question=question, plan=plan, model=self.solver, max_tokens=self.answer_tokens)
        return str((await ctx.expand(nodes))["solve"])
