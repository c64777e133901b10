"""Nothing: a tool that never finds anything, put in another's place to measure what a failing tool costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ..orchestrator.tool import TOOLS, Tool, tool

if TYPE_CHECKING:
    from ..orchestrator.context import Context

NO_EVIDENCE = "No evidence found."
"""What a tool says that looked and found nothing."""


@tool("nothing")
class Nothing(Tool):
    """Always answers "No evidence found.", as in ReWOO's tool-failure experiment (Xu et al. 2023, arXiv 2305.18323).

    Give it the name and the description of the tool it stands in for, or say `like: search` to take over the
    description that kind has by default: the planner then sees the same list of tools, and only the answers change.
    """

    class Arguments(BaseModel):
        """Anything: a stand-in is called with the arguments of the tool it replaces."""

        model_config: ClassVar[ConfigDict] = ConfigDict(extra="allow")

        query: str = Field(default="", description="What to look for.")

    like: str | None = Field(default=None, description="The kind of tool whose default description it borrows.")

    @model_validator(mode="after")
    def _borrow(self) -> Self:
        if self.like is not None and not self.description:
            self.description = str(TOOLS.find(self.like).model_fields["description"].default)
        return self

    async def call(self, ctx: Context, args: Arguments) -> str:
        """Find nothing."""
        return NO_EVIDENCE
