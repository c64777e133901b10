"""`kind: tool`: call a tool of the flow."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from ..context import Context
from ..node import Node, ToolName, kind
from ..template import TemplateTree


@kind("tool")
class ToolCall(Node):
    """Call a tool; the value is what it answers."""

    tool: ToolName = Field(description="Which of the flow's tools.")
    args: TemplateTree = Field(default=None, description="Its arguments by name, or one value for its first argument.")

    async def run(self, ctx: Context) -> Any:
        """One tool call. Raises ToolError."""
        args = ctx.render(self.args)
        if isinstance(args, dict):
            return await ctx.tool(self.tool, **args)
        return await ctx.tool(self.tool, None if args is None else str(args))
