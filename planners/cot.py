"""`kind: cot`: chain of thought (Wei et al. 2022, arXiv 2201.11903), one call that thinks before it answers."""

from __future__ import annotations

from pydantic import Field

from ..orchestrator import Context, ModelRole, Node, Template, kind
from ..orchestrator.think import ask
from ..orchestrator.thinking import Thinking
from .examples import Examples
from .exemplars import EXEMPLARS
from .prompts import cot_prompt


@kind("cot")
class CoT(Node):
    """Ask for a short line of thought and then the answer, without tools; the value is the short answer."""

    question: Template = Field(description="What is asked.")
    model: ModelRole = Field(default="large", description="The role that answers.")
    max_tokens: int = Field(default=256, ge=1, description="Most tokens of thought and answer together.")
    exemplars: Examples = Field(default=True, description="The built-in worked examples, none, or your own.")
    thinking: Thinking | None = Field(
        default=None, description="Let the model think by itself first, for so many tokens more."
    )

    async def run(self, ctx: Context) -> str:
        """One call, purpose `answer`, and those of its thinking before it."""
        shown = (EXEMPLARS if self.exemplars else ()) if isinstance(self.exemplars, bool) else self.exemplars
        prompt = cot_prompt(ctx.text(self.question), shown)
        answered = await ask(ctx, prompt, self.thinking, model=self.model, max_tokens=self.max_tokens)
        if answered.said.finish_reason == "length":
            ctx.note(f"the thought was cut off at {self.max_tokens} tokens; give it more max_tokens")
        return answered.short
