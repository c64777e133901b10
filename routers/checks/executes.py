"""`accept: {kind: executes, ...}`: the answer runs on a tool, such as a query on its database."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import Field

from ...errors import ToolError
from ...orchestrator.part import ToolName
from ...orchestrator.template import TemplateTree, as_text
from ..check import Answer, Check, Judgement, check

if TYPE_CHECKING:
    from ...orchestrator.context import Context


@check("executes")
class Executes(Check):
    """The tool does what the answer says without an error; no model is asked."""

    tool: ToolName = Field(description="Which of the flow's tools.")
    args: TemplateTree = Field(
        default=None,
        description="Its arguments by name, with `answer` for the answer; by itself the answer is the first argument.",
    )
    nonempty: bool = Field(default=False, description="Whether what the tool gives must hold something, such as a row.")

    async def judge(self, ctx: Context, answer: Answer) -> Judgement:
        """Passes unless the tool fails or, where that is asked, gives nothing."""
        try:
            if self.args is None:
                result = await ctx.tool(self.tool, as_text(answer.value))
            else:
                args = self.render(ctx, self.args, answer)
                named = args if isinstance(args, dict) else None
                text = None if named is not None else as_text(args)
                result = await ctx.tool(self.tool, text, **(named or {}))
        except ToolError as error:
            return Judgement(False, f"does not run: {error}")
        if self.nonempty and _empty(result):
            return Judgement(False, "runs, but gives nothing")
        return Judgement(True, "runs")


def _empty(result: Any) -> bool:
    """Whether a tool gave nothing: no text, no elements, or a table (`rows`) without rows."""
    if isinstance(result, Mapping) and "rows" in result:
        return not result["rows"]
    return result is None or (isinstance(result, str) and not result.strip()) or result in ([], {}, ())
