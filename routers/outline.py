"""`kind: outline`: the large model notes in a few tokens how to solve a question, the small one works it out.

After HAWKEYE (She et al., 2025, arXiv 2504.00424), without its training: the large model is told to be terse and held
to a number of tokens. What it must be held against: the large model alone, the large model with the same few tokens
answering itself, and the small model alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from ..errors import BackendError, BudgetExceeded, ReplayMiss
from ..orchestrator.answer import short_answer
from ..orchestrator.node import ModelRole, Node, kind
from ..orchestrator.shown import as_data
from ..orchestrator.template import Template

if TYPE_CHECKING:
    from ..orchestrator.context import Context

OUTLINE = (
    "Note how to solve the question: numbered steps of a few words, with the numbers and names that matter, no full "
    "sentences. Do not write the final answer.\n\nQuestion: {question}"
)
WORK_OUT = (
    "Question: {question}\n\n{notes}"
    'Work it out in a few short steps. Then write a last line that starts with "Answer:" and gives the answer in a few '
    "words."
)
NOTES = "Notes of a colleague on how to solve it:\n{outline}\n\n"
STOPS = ("Answer:", "Final answer")


@kind("outline")
class Outline(Node):
    """The short answer that the small model finds with the large one's outline.

    An outline that is empty, or a large model that fails, leaves the small model alone; a note says so.
    """

    question: Template = Field(description="What is asked.")
    large: ModelRole = Field(default="large", description="The role that writes the outline.")
    small: ModelRole = Field(default="small", description="The role that works it out.")
    outline_tokens: int = Field(default=96, ge=1, description="Most tokens of the outline.")
    max_tokens: int = Field(default=256, ge=1, description="Most tokens of the answer with its steps.")

    async def run(self, ctx: Context) -> str:
        """Two calls, purposes `outline` and `answer`."""
        question = ctx.text(self.question)
        outline = await self._outline(ctx, question)
        notes = NOTES.format(outline=as_data(outline)) if outline else ""
        said = await ctx.complete(
            WORK_OUT.format(question=question, notes=notes),
            model=self.small,
            purpose="answer",
            max_tokens=self.max_tokens,
        )
        if said.finish_reason == "length":
            ctx.note(f"the answer was cut off at {self.max_tokens} tokens; give it more max_tokens")
        return short_answer(said.text)

    async def _outline(self, ctx: Context, question: str) -> str:
        """What the large model noted, without a line that its tokens did not suffice for; empty if there is nothing."""
        try:
            said = await ctx.complete(
                OUTLINE.format(question=question),
                model=self.large,
                purpose="outline",
                max_tokens=self.outline_tokens,
                stop=STOPS,
            )
        except (BudgetExceeded, ReplayMiss):
            raise
        except BackendError as error:
            ctx.note(f"{self.small} answered alone, since {self.large} failed: {error}")
            return ""
        lines = said.text.strip().splitlines()
        if said.finish_reason == "length" and len(lines) > 1:
            lines.pop()
        if not lines:
            ctx.note(f"{self.small} answered alone, since {self.large} noted nothing")
        return "\n".join(lines)
