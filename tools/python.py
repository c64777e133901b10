"""`kind: python`: steps that are computed by a small program."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from ..errors import ToolError
from ..orchestrator.tool import Tool, tool
from .sandbox import run_python

if TYPE_CHECKING:
    from ..orchestrator.context import Context


@tool("python")
class Python(Tool):
    """Runs Python code in a process of its own: standard library, no network, no files but those of an empty folder.

    Answers with what the code prints; if nothing, the value of its last expression, else of its variable `answer`.
    `laconic/tools/sandbox.py` says what this protects against and what it does not.
    """

    class Arguments(BaseModel):
        """What to run."""

        model_config = ConfigDict(extra="forbid")

        code: str = Field(description="Python code that prints its result.")

    description: str = Field(
        default="Runs Python code and returns what it prints. Only the standard library is there. "
        "Input: Python code that prints its result.",
        description="What the tool does and when to use it; shown to the model.",
    )
    seconds: float = Field(default=5, gt=0, le=3600, description="Longest the code may run, in seconds.")
    memory_mb: int = Field(default=256, ge=64, description="Most memory it may have, in mebibytes.")

    async def call(self, ctx: Context, args: Arguments) -> str:
        """What the code gave, as text. Raises ToolError saying why it did not come to its end."""
        ran = await run_python(args.code, seconds=self.seconds, memory_mb=self.memory_mb)
        if ran.error:
            raise ToolError(f"the code failed: {ran.error}")
        return ran.output
