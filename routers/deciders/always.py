"""`by: {kind: always, tier: ...}`: one tier for everything, the baseline of every router."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pydantic import Field

from ..decider import Decider, Item, decider

if TYPE_CHECKING:
    from ...orchestrator.context import Context


@decider("always")
class Always(Decider):
    """The same tier, whatever is asked; it is still not taken where it cannot fit."""

    tier: str = Field(description="The tier that answers.")

    def named(self) -> tuple[str, ...]:
        """The one."""
        return (self.tier,)

    async def decide(self, ctx: Context, item: Item) -> Mapping[str, float]:
        """All probability on that tier."""
        return {self.tier: 1.0}
