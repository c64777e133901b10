"""`kind: route`: decide who answers, and let them.

The decision is a node of its own, `NAME/route`, so that what it spends is in the bill, under the purpose `route`; the
chosen tier runs as `NAME/TIER`. The value is the tier's value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from ..errors import LaconicError, NodeError
from ..orchestrator.node import Node, kind
from ..orchestrator.template import TemplateTree
from .decider import By, Item
from .decision import Decision, decide, fits, unspent
from .tiers import Tiered, dearer, ends_all

if TYPE_CHECKING:
    from ..orchestrator.context import Context


@kind("route")
class Route(Tiered):
    """Decide which tier answers, before anything is spent on an answer; a tier that cannot fit is never taken."""

    by: By = Field(
        description="What decides: rules, knn, classifier, llm, logprob, always, or a mapping with its kind."
    )
    features: TemplateTree = Field(
        default=None, description="What the decider may look at beside the question, by name."
    )
    confidence: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="Take the cheapest tier that is enough with at least this probability; the likeliest if not given.",
    )
    fallback: bool = Field(
        default=True,
        description="If the tier fails, try the next dearer one that fits; what failed stays in the bill, discarded.",
    )

    def model_post_init(self, context: Any) -> None:
        """Raises ValueError where the decider names a tier that there is not."""
        super().model_post_init(context)
        for tier in self.by.named():
            if tier not in self.tiers:
                raise ValueError(f"by: {tier!r} is not one of the tiers {', '.join(self.tiers)}")

    async def run(self, ctx: Context) -> Any:
        """The chosen tier's value. Raises what the tier raises, and BudgetExceeded if no tier fits."""
        decision = (await ctx.expand({"route": _Decide(route=self)}))["route"]
        return await self._answer(ctx, decision)

    async def _answer(self, ctx: Context, decision: Decision) -> Any:
        tier = decision.tier
        while True:
            try:
                return (await ctx.expand({tier: self.tier(ctx, tier)}))[tier]
            except LaconicError as error:
                left = unspent(ctx.budget)
                behind = [t for t in dearer(self.tiers, tier) if fits(t, decision.expected, left)]
                if not self.fallback or not behind or ends_all(error, f"{ctx.path}/{tier}"):
                    raise
                ctx.discard(tier)
                ctx.note(f"{tier} failed ({error}); {behind[0]} was tried")
                tier = behind[0]


class _Decide(Node):
    """The decision of a route."""

    kind = "decide"

    route: Route

    def references(self) -> frozenset[str]:
        return self.route.references()

    async def run(self, ctx: Context) -> Decision:
        route = self.route
        features = ctx.render(route.features) or {}
        if not isinstance(features, dict):
            raise NodeError(f"features is a mapping of names, not {type(features).__name__}")
        item = Item(ctx.text(route.question), features, route.tiers)
        probabilities = await route.by.decide(ctx, item)
        expected = {**route.by.expected(route.tiers), **route.tokens}
        decision = decide(probabilities, route.tiers, confidence=route.confidence, expected=expected, budget=ctx.budget)
        ctx.note(str(decision))
        return decision
