"""Calculator: exact arithmetic for steps that compute."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from ..orchestrator.tool import Tool, tool
from .arithmetic import calculate

if TYPE_CHECKING:
    from ..orchestrator.context import Context


@tool("calculator")
class Calculator(Tool):
    """Exact arithmetic: + - * / // % ** and parentheses, on integers and decimals of up to a thousand digits.

    Answers with an integer or an exact decimal; a result without an end, such as 1/3, is rounded to twelve significant
    digits and marked "≈". Also reads 1,234.5 and 2.5e6, × ÷ − ^, and roots that are exact (16 ** 0.5). `%` is a percent
    sign (15%, 15% of 80, 20% + 1), but the remainder where a number or a parenthesis follows: 17 % 5, 17 % (-5). A
    number marked "≈" can be used again; what comes of it is marked too.
    """

    class Arguments(BaseModel):
        """What to compute."""

        model_config = ConfigDict(extra="forbid")

        expression: str = Field(description="An arithmetic expression of plain numbers, such as (12.5 + 3) * 4.")

    description: str = Field(
        default="Computes arithmetic exactly: + - * / // % ** and parentheses. "
        "Input: an expression of plain numbers without units, such as (12.5 + 3) * 4.",
        description="What the tool does and when to use it; shown to the model.",
    )

    async def call(self, ctx: Context, args: Arguments) -> str:
        """The result as text. Raises ToolError saying what cannot be read or computed."""
        return calculate(args.expression)
