"""`by: {kind: logprob, ...}`: a model names the tier by one letter, and its logprobs are the probabilities."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field, PrivateAttr

from ..calibration import Calibration
from ..decider import Item, decider
from ..single_token import decide_by_token
from .asking import Asking

if TYPE_CHECKING:
    from ...orchestrator.context import Context


@decider("logprob")
class Logprob(Asking):
    """One generated token for each order in which the tiers are shown."""

    permutations: int = Field(
        default=1,
        ge=1,
        description="In how many orders the tiers are shown; as many as there are tiers cancel what the model favours.",
    )
    content_free: bool = Field(
        default=False,
        description="Ask as often again without the question, and divide by what the model says then.",
    )
    calibration: Path | None = Field(
        default=None, description="A JSON file that a calibration was saved to, relative to the flow's folder."
    )
    least_mass: float = Field(
        default=0.05,
        ge=0,
        le=1,
        description="If less probability than this fell on the tiers, the dearest is taken: the model did not answer.",
    )

    _calibration: Calibration | None = PrivateAttr(default=None)

    def check(self, base: Path) -> None:
        """Read the calibration. Raises FlowError."""
        if self.calibration is not None:
            self._calibration = Calibration.load(base / self.calibration)

    async def decide(self, ctx: Context, item: Item) -> Mapping[str, float]:
        """The verdict's probabilities; all on the dearest tier if the model spoke of something else."""
        verdict = await decide_by_token(
            ctx,
            instruction=self.instruction,
            text=self.shown(item),
            options=self.options(item),
            model=self.model,
            permutations=self.permutations,
            content_free=self.content_free,
            calibration=self._calibration,
        )
        ctx.note(str(verdict))
        if verdict.mass is not None and verdict.mass < self.least_mass:
            return self.dearest(ctx, item, f"the model {self.model} named no tier ({verdict.readings[0].token!r})")
        return verdict.probabilities
