"""`accept: {kind: expression, ...}`: an expression over the answer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from ...orchestrator.template import tree_references
from ..check import Answer, Check, Judgement, check

if TYPE_CHECKING:
    from ...orchestrator.context import Context


@check("expression")
class Expression(Check):
    """True or false, said of `answer` and of the inputs and nodes that are visible."""

    that: str = Field(description="What must hold of `answer`, such as: answer | length < 40.")

    def references(self) -> frozenset[str]:
        """The names in the expression."""
        return (super().references() | tree_references(self._template)) - {"answer"}

    def check(self, base: Path) -> None:
        """See whether the expression can be read. Raises FlowError."""
        tree_references(self._template)

    async def judge(self, ctx: Context, answer: Answer) -> Judgement:
        """Passes if the expression is true. Raises NodeError where it cannot be computed."""
        holds = bool(self.render(ctx, self._template, answer))
        return Judgement(holds, f"{'meets' if holds else 'does not meet'} `{self.that}`")

    @property
    def _template(self) -> str:
        return "{{ " + self.that + " }}"
