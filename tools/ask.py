"""Ask: a model as a tool, for steps that need general knowledge or a small inference."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from ..errors import BackendError, ToolError
from ..orchestrator.node import ModelRole
from ..orchestrator.tool import Tool, tool

if TYPE_CHECKING:
    from ..orchestrator.context import Context


@tool("ask")
class Ask(Tool):
    """A question to a model of the flow. Its tokens are in the ledger under the purpose `tool`."""

    class Arguments(BaseModel):
        """A question that can be understood by itself."""

        model_config = ConfigDict(extra="forbid")

        question: str = Field(description="A question that can be understood by itself.")

    description: str = Field(
        default="A language model. Use it for general knowledge and simple inference. "
        "Input: a question that can be understood by itself.",
        description="What the tool does and when to use it; shown to the model.",
    )
    model: ModelRole = Field(description="The role in the flow's `models` that answers.")
    instruction: str = Field(
        default="Answer the question directly and concisely, without explanation.",
        description="Stands before every question; it stays the same, so that a server can cache it.",
    )
    max_tokens: int = Field(default=128, ge=1, description="Most tokens of an answer.")

    async def call(self, ctx: Context, args: Arguments) -> str:
        """The model's answer, stripped; one that `max_tokens` cut off ends in "…".

        Raises ToolError for an empty question, an empty answer and a failed call; BudgetExceeded passes through, for a
        budget is not evidence.
        """
        question = args.question.strip()
        if not question:
            raise ToolError("nothing was asked: the question is empty")
        prompt = f"{self.instruction}\n\nQuestion: {question}\nAnswer:"
        try:
            completion = await ctx.complete(prompt, model=self.model, purpose="tool", max_tokens=self.max_tokens)
        except BackendError as error:
            raise ToolError(f"the model could not be asked: {error}") from error
        answer = completion.text.strip()
        if not answer:
            raise ToolError("the model gave an empty answer")
        return f"{answer}…" if completion.finish_reason == "length" else answer
