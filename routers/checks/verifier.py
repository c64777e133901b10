"""`accept: {kind: verifier, ...}`: a model says by a single token whether the answer is right."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field, PrivateAttr

from ...orchestrator.part import ModelRole
from ...orchestrator.template import Template, as_text
from ..calibration import Calibration
from ..check import Answer, Check, Judgement, check
from ..single_token import decide_by_token

if TYPE_CHECKING:
    from ...orchestrator.context import Context

OPTIONS = {"right": "the answer is right", "wrong": "the answer is wrong"}


@check("verifier")
class Verifier(Check):
    """One generated token for each order of right and wrong, purpose `judge`."""

    model: ModelRole = Field(description="The role that judges.")
    least: float = Field(default=0.5, ge=0, le=1, description="Least probability of being right that is taken.")
    given: Template = Field(default="", description="What the model is shown before the question, such as a schema.")
    instruction: str = Field(
        default="Judge whether the answer to the question is right.", description="What the model is told to do."
    )
    permutations: int = Field(default=2, ge=1, le=2, description="In how many orders right and wrong are shown.")
    calibration: Path | None = Field(
        default=None, description="A JSON file that a calibration for right and wrong was saved to."
    )

    _calibration: Calibration | None = PrivateAttr(default=None)

    def check(self, base: Path) -> None:
        """Read the calibration. Raises FlowError."""
        if self.calibration is not None:
            self._calibration = Calibration.load(base / self.calibration)
            self._calibration.check(list(OPTIONS))

    async def judge(self, ctx: Context, answer: Answer) -> Judgement:
        """Passes if the answer is right with at least the probability asked for."""
        given = ctx.text(self.given)
        shown = [given] if given else []
        verdict = await decide_by_token(
            ctx,
            instruction=self.instruction,
            text="\n".join([*shown, f"Question: {answer.question}", f"Answer: {as_text(answer.value)}"]),
            options=OPTIONS,
            model=self.model,
            purpose="judge",
            permutations=self.permutations,
            calibration=self._calibration,
        )
        if verdict.mass == 0:
            return Judgement(False, f"could not be judged: the model {self.model} named neither option")
        right = verdict.probabilities["right"]
        return Judgement(right >= self.least, f"is right with probability {right:.2f}")
