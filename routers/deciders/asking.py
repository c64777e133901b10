"""What deciders that ask a model have in common: which model, and how it is told of the item and the tiers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pydantic import Field

from ...orchestrator.part import ModelRole
from ...orchestrator.template import as_text
from ..decider import Decider, Item

if TYPE_CHECKING:
    from ...orchestrator.context import Context

INSTRUCTION = "Choose the simplest way that is enough to answer the question correctly. From simplest to most thorough:"


class Asking(Decider):
    """A decider that asks a model of the flow, with the purpose `route`."""

    model: ModelRole = Field(description="The role that decides.")
    describe: dict[str, str] = Field(
        default_factory=dict, description="What the model is told of a tier, by its name; the name if nothing is said."
    )
    instruction: str = Field(default=INSTRUCTION, description="Stands before the tiers.")

    def options(self, item: Item) -> dict[str, str]:
        """What the model is told of each tier."""
        return {tier: self.describe.get(tier, tier) for tier in item.tiers}

    def shown(self, item: Item) -> str:
        """The question, and behind it the features, a line each."""
        lines = [f"{name}: {as_text(value)}" for name, value in item.features.items()]
        return "\n".join([f"Question: {item.text}", *lines])

    def dearest(self, ctx: Context, item: Item, why: str) -> Mapping[str, float]:
        """The fallback where the model gave no usable answer: the dearest tier, which can do the most."""
        tier = item.tiers[-1]
        ctx.note(f"{why}; {tier} is taken, as the dearest")
        return {tier: 1.0}
