"""`kind: format`: answer in one of four formats, the one that is named or the one that a decider chooses.

It is a route whose tiers are formats. To let the formats themselves decide, by agreeing, see `kind: consensus`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from pydantic import Field

from ..orchestrator.node import ModelRole, Node, kind
from .decider import By
from .deciders.always import Always
from .formats import FORMATS, FormatName, InFormat, answer_in
from .route import Route

if TYPE_CHECKING:
    from ..orchestrator.context import Context


@kind("format")
class Format(Route):
    """Say `format: short`, or say `by` what it is decided; the value is the short answer."""

    tiers: tuple[FormatName, ...] = Field(
        default=tuple(FORMATS),
        min_length=1,
        description="The formats to choose among, from the cheapest to the dearest.",
    )
    format: FormatName | None = Field(default=None, description="Answer in this format; nothing is decided.")
    by: By = Field(
        default_factory=lambda: Always(tier="short"), description="What decides on the format, if none is named."
    )
    model: ModelRole = Field(default="large", description="The role that answers.")
    max_tokens: int | None = Field(
        default=None, ge=1, description="Most tokens of the answer; 48, 200, 300 and 1,200 in the four formats."
    )

    def holds(self) -> tuple[str, ...]:
        """No node of the flow: the formats are its own."""
        return ()

    def tier(self, ctx: Context, name: str) -> Node:
        """The node that answers in a format."""
        return InFormat(
            question=self.question, model=self.model, format=cast("FormatName", name), max_tokens=self.max_tokens
        )

    async def run(self, ctx: Context) -> Any:
        """The answer in the format named or chosen; a format that fails gives way to the next dearer one."""
        if self.format is not None:
            return await answer_in(self.format, ctx, ctx.text(self.question), self.model, self.max_tokens)
        return await super().run(ctx)
