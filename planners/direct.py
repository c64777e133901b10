"""`kind: direct`: the plainest baseline, one call without tools, examples or thinking."""

from __future__ import annotations

from pydantic import Field

from ..orchestrator import Context, ModelRole, Node, Template, kind
from ..orchestrator.answer import short_answer
from .prompts import direct_prompt


@kind("direct")
class Direct(Node):
    """Ask for the answer at once; the value is the short answer. What everything cleverer is measured against."""

    question: Template = Field(description="What is asked.")
    model: ModelRole = Field(default="large", description="The role that answers.")
    max_tokens: int = Field(default=64, ge=1, description="Most tokens of the answer.")

    async def run(self, ctx: Context) -> str:
        """One call, purpose `answer`."""
        return await answer_directly(ctx, ctx.text(self.question), self.model, self.max_tokens)


async def answer_directly(ctx: Context, question: str, model: str, max_tokens: int) -> str:
    """The short answer to a question, from what the model knows."""
    said = await ctx.complete(direct_prompt(question), model=model, purpose="answer", max_tokens=max_tokens)
    return short_answer(said.text)
