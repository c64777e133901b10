"""`kind: direct`: the plainest baseline, one call without tools, examples or thinking."""

from __future__ import annotations

from pydantic import Field

from ..orchestrator import Context, ModelRole, Node, Template, kind
from ..orchestrator.think import ask
from ..orchestrator.thinking import Thinking
from .prompts import direct_prompt


@kind("direct")
class Direct(Node):
    """Ask for the answer at once; the value is the short answer. What everything cleverer is measured against."""

    question: Template = Field(description="What is asked.")
    model: ModelRole = Field(default="large", description="The role that answers.")
    max_tokens: int = Field(default=64, ge=1, description="Most tokens of the answer.")
    thinking: Thinking | None = Field(default=None, description="Let the model think first, for so many tokens.")

    async def run(self, ctx: Context) -> str:
        """One call, purpose `answer`, and those of its thinking before it."""
        return await answer_directly(ctx, ctx.text(self.question), self.model, self.max_tokens, self.thinking)


async def answer_directly(
    ctx: Context, question: str, model: str, max_tokens: int, thinking: Thinking | None = None
) -> str:
    """The short answer to a question, from what the model knows."""
    answered = await ask(ctx, direct_prompt(question), thinking, model=model, max_tokens=max_tokens)
    return answered.short
