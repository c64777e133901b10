"""`kind: cascade`: try the cheapest tier, look at its answer, and go on to the next only if it is not good enough.

A tier runs as `NAME/TIER`, its checks as `NAME/check-TIER`. What a tier spent whose answer is not the one taken is
`discarded` in the ledger; what a check spent is not, for it was used. FrugalGPT (Chen et al. 2023, arXiv 2305.05176)
is a cascade of models.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from ..backends.request import Completion
from ..errors import BudgetExceeded, FlowError, LaconicError, NodeError, ReplayMiss
from ..orchestrator.node import Node, kind
from .check import Accept, Answer, Check, Judgement
from .decision import fits, too_dear, unspent
from .tiers import Tiered, ends_all

if TYPE_CHECKING:
    from ..orchestrator.context import Context


@kind("cascade")
class Cascade(Tiered):
    """Take the first answer that passes every check.

    The last tier is not checked, since nothing comes after it. A tier that fails or gives nothing (null) is as one
    whose answer was rejected, and so is an answer whose check fails. If in the end none was accepted, because the last
    tier failed or the wall of the budget's tokens, calls or cost was reached, the dearest of the rejected answers is
    taken, and a note says so. Time that is over, of a budget or a `timeout`, ends it without an answer.
    """

    accept: Accept = Field(
        min_length=1,
        description="What an answer must pass: executes, schema, agrees, logprob, verifier, expression, or a mapping "
        "with its kind, or a list of them, tried in that order.",
    )

    async def run(self, ctx: Context) -> Any:
        """The answer taken. Where no tier gave one, raises what stopped the last, or BudgetExceeded if none fitted."""
        question = ctx.text(self.question)
        best: Answer | None = None
        problem: LaconicError | None = None
        for tier in self.tiers:
            if not self._fits(ctx, tier):
                continue
            try:
                answer = await self._answer(ctx, tier, question)
            except LaconicError as error:
                ctx.discard(tier)
                if isinstance(error, (FlowError, ReplayMiss)):
                    raise
                ctx.note(f"{tier} failed: {error}")
                problem = error
                if ends_all(error, f"{ctx.path}/{tier}"):
                    break
                continue
            if best is not None:
                ctx.discard(best.tier)
            best = answer
            try:
                if tier == self.tiers[-1] or await self._passes(ctx, answer):
                    return answer.value
            except BudgetExceeded as error:
                ctx.note(f"the answer of {tier} could not be checked: {error}")
                if ends_all(error, f"{ctx.path}/check-{tier}"):
                    break
        if best is None:
            raise problem or too_dear(self.tiers, self.tokens, ctx.budget)
        ctx.note(f"no answer was accepted; that of {best.tier} is taken, the dearest there is")
        return best.value

    def _fits(self, ctx: Context, tier: str) -> bool:
        left = unspent(ctx.budget)
        fitting = fits(tier, self.tokens, left)
        if not fitting:
            expected = f"{self.tokens[tier]:,.0f}"
            ctx.note(f"{tier} was not started: it is expected to use {expected} tokens, and {left:,} are left")
        return fitting

    async def _answer(self, ctx: Context, tier: str, question: str) -> Answer:
        node = self.tier(ctx, tier)
        checked = tier != self.tiers[-1]
        heard: list[Completion] | None = [] if checked and any(check.needs_logprobs for check in self.accept) else None
        value = (await ctx.expand({tier: node}, heard=heard))[tier]
        if value is None:
            raise NodeError("it gave nothing", path=f"{ctx.path}/{tier}")
        logprobs = tuple(token.logprob for completion in heard or () for token in completion.logprobs or ())
        return Answer(question, tier, value, node, logprobs)

    async def _passes(self, ctx: Context, answer: Answer) -> bool:
        name = f"check-{answer.tier}"
        try:
            judgement: Judgement = (await ctx.expand({name: _Checking(checks=self.accept, answer=answer)}))[name]
        except (BudgetExceeded, FlowError, ReplayMiss):
            raise
        except LaconicError as error:
            ctx.note(f"the answer of {answer.tier} could not be checked: {error}")
            return False
        ctx.note(f"{'accepted' if judgement.passed else 'rejected'}: the answer of {answer.tier} {judgement.why}")
        return judgement.passed


class _Checking(Node):
    """The checks of one answer, up to the first that it does not pass."""

    kind = "check"

    checks: tuple[Check, ...]
    answer: Answer

    def references(self) -> frozenset[str]:
        return frozenset()  # what the checks mention the cascade has waited for

    async def run(self, ctx: Context) -> Judgement:
        passed: list[str] = []
        for check in self.checks:
            judgement = await check.judge(ctx, self.answer)
            if not judgement.passed:
                return judgement
            passed.append(judgement.why)
        return Judgement(True, " and ".join(passed))
