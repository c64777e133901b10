"""`accept: {kind: logprob, ...}`: how likely the model held the tokens that it wrote."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from ..check import Answer, Check, Judgement, check

if TYPE_CHECKING:
    from ...orchestrator.context import Context


@check("logprob")
class TokenLikelihood(Check):
    """Looks at every token of every call of the tier; costs no token, only logprobs.

    Thoughts that are written as part of an answer count, what a model thinks before it (`thinking`) does not.
    """

    needs_logprobs: ClassVar[bool] = True

    mean: float | None = Field(
        default=None, gt=0, le=1, description="Least geometric mean of the probabilities of the tokens."
    )
    least: float | None = Field(default=None, gt=0, le=1, description="Least probability of the least likely token.")

    def model_post_init(self, context: Any) -> None:
        """Raises ValueError if nothing is asked."""
        if self.mean is None and self.least is None:
            raise ValueError("say `mean`, `least` or both, as probabilities")

    async def judge(self, ctx: Context, answer: Answer) -> Judgement:
        """Passes if the tokens were as likely as is asked; an answer without logprobs does not."""
        values = answer.logprobs
        if not values:
            return Judgement(False, "came without logprobs")
        mean, least = math.exp(sum(values) / len(values)), math.exp(min(values))
        passed = mean >= (self.mean or 0) and least >= (self.least or 0)
        return Judgement(passed, f"has tokens of probability {mean:.2f} on average, {least:.2f} at least")
