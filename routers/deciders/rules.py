"""`by: {kind: rules, ...}`: expressions over what is known, the first that is true decides."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from ...errors import FlowError, NodeError
from ...orchestrator.scope import Scope
from ...orchestrator.template import compile_template
from ..decider import Decider, Item, decider

if TYPE_CHECKING:
    from ...orchestrator.context import Context


class Rule(BaseModel):
    """If `when` is true, `tier` answers."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    when: str = Field(description="An expression over the features by name, and `question`, such as tables < 2.")
    tier: str = Field(description="The tier that then answers.")

    @property
    def template(self) -> str:
        """`when` as a template."""
        return "{{ " + self.when + " }}"


@decider("rules")
class Rules(Decider):
    """Rules in the order written; where none holds, `otherwise`."""

    rules: tuple[Rule, ...] = Field(min_length=1, description="Tried in this order.")
    otherwise: str = Field(description="The tier where no rule holds.")

    def named(self) -> tuple[str, ...]:
        """Those of the rules, and the one where none holds."""
        return (*(rule.tier for rule in self.rules), self.otherwise)

    def check(self, base: Path) -> None:
        """See whether every rule can be read. Raises FlowError."""
        for rule in self.rules:
            try:
                compile_template(rule.template)
            except FlowError as error:
                raise FlowError(f"the rule {rule.when!r} cannot be read: {error.plain}") from error

    async def decide(self, ctx: Context, item: Item) -> Mapping[str, float]:
        """All probability on the tier of the first rule that holds. Raises NodeError for a name that is not there."""
        known = Scope({"question": item.text, **item.features})
        for number, rule in enumerate(self.rules, start=1):
            expression = compile_template(rule.template)
            missing = sorted(expression.references - known.own.keys())
            if missing:
                raise NodeError(
                    f"the rule {rule.when!r} asks for {missing[0]!r}, which is not among the features: "
                    f"{', '.join(known.own)}"
                )
            if expression.render(known):
                ctx.note(f"rule {number}: {rule.when}")
                return {rule.tier: 1.0}
        return {self.otherwise: 1.0}
