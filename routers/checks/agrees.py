"""`accept: {kind: agrees, ...}`: the tier gives the same answer again (self-consistency).

Self-consistency (Wang et al. 2022, arXiv 2203.11171) as a check: how many of several samples agree with the answer.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from pydantic import Field

from ...errors import BudgetExceeded, LaconicError
from ...orchestrator.agreement import same_answer
from ...orchestrator.part import ToolName
from ...orchestrator.template import as_text
from ..check import Answer, Check, Judgement, check

if TYPE_CHECKING:
    from ...orchestrator.context import Context


@check("agrees")
class Agrees(Check):
    """Ask the tier again, one sample after the other, until it is certain whether enough agree.

    The tier must draw its answers: give it a `temperature`, else it says the same each time and agrees for nothing.
    """

    samples: int = Field(default=3, ge=2, le=100, description="Answers in all, the one that is checked included.")
    share: float = Field(default=0.6, gt=0, le=1, description="Least share of them that must agree with it.")
    tool: ToolName | None = Field(
        default=None, description="Compare what this tool makes of the answers, such as the rows of two queries."
    )

    async def judge(self, ctx: Context, answer: Answer) -> Judgement:
        """Passes if enough samples agree; those that do not, or all if it does not pass, are discarded."""
        # What is a share in decimals need not be one in binary: 0.6 of 5 is 3.
        needed = math.ceil(self.share * self.samples - 1e-9)
        meant = await self._meant(ctx, answer.value)
        agreeing, asked = 1, 1
        kept: list[str] = []
        while agreeing < needed <= agreeing + self.samples - asked:
            asked += 1
            name = str(asked)
            if await self._agrees(ctx, name, answer, meant):
                agreeing += 1
                kept.append(name)
            else:
                ctx.discard(name)
        passed = agreeing >= needed
        for name in [] if passed else kept:
            ctx.discard(name)
        return Judgement(passed, f"is given by {agreeing} of {asked} samples, of {needed} needed")

    async def _agrees(self, ctx: Context, name: str, answer: Answer, meant: Any) -> bool:
        try:
            again = (await ctx.expand({name: answer.node}))[name]
            found = await self._meant(ctx, again)
        except BudgetExceeded:
            raise
        except LaconicError:
            return False
        if self.tool is not None:
            return bool(found == meant)
        return same_answer(as_text(found), as_text(meant))

    async def _meant(self, ctx: Context, value: Any) -> Any:
        return value if self.tool is None else await ctx.tool(self.tool, as_text(value))
