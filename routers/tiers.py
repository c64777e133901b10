"""Tiers: the ways to answer that a router chooses among, from the cheapest to the dearest.

A tier is named, and the name is that of a node of the flow, which the router then holds: it runs when it is chosen and
not otherwise. A name that is no node is a role of the flow's `models`, which is asked the question as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pydantic import Field, field_validator

from ..accounting.call import is_under
from ..errors import BudgetExceeded, FlowError, LaconicError, NodeError, ReplayMiss
from ..orchestrator.kinds.prompt import Prompt
from ..orchestrator.node import Node
from ..orchestrator.template import Template

if TYPE_CHECKING:
    from ..orchestrator.context import Context


class Tiered(Node):
    """A node that chooses among tiers."""

    tiers: tuple[str, ...] = Field(
        min_length=1,
        description="Nodes of this flow, or roles of its models, from the cheapest to the dearest.",
    )
    question: Template = Field(default="", description="What is to be answered: what a tier that is a model is asked.")
    tokens: dict[str, float] = Field(
        default_factory=dict,
        description="Tokens that each tier is expected to use. One that does not fit in the tokens left is not taken; "
        "calls, cost and seconds end at the budget's wall.",
    )

    @field_validator("tiers")
    @classmethod
    def _differ(cls, tiers: tuple[str, ...]) -> tuple[str, ...]:
        for tier in tiers:
            if tiers.count(tier) > 1:
                raise ValueError(f"the tier {tier!r} is named twice")
            if tier in OWN:
                raise ValueError(f"a tier cannot be called {tier!r}: the router's own steps are")
        return tiers

    @field_validator("tokens")
    @classmethod
    def _no_less_than_none(cls, tokens: dict[str, float]) -> dict[str, float]:
        for tier, expected in tokens.items():
            if not 0 <= expected < float("inf"):
                raise ValueError(f"the tokens of {tier!r} are a number that is not negative")
        return tokens

    def model_post_init(self, context: Any) -> None:
        """Raises ValueError for tokens of a tier that there is not."""
        for tier in self.tokens:
            if tier not in self.tiers:
                raise ValueError(f"tokens: {tier!r} is not one of the tiers {', '.join(self.tiers)}")

    def holds(self) -> tuple[str, ...]:
        """The tiers."""
        return self.tiers

    def tier(self, ctx: Context, name: str) -> Node:
        """The node behind a tier's name."""
        return tier_node(ctx, name, self.question)


OWN = ("route", "check")
"""Names of the steps that routers expand into beside their tiers."""


def tier_node(ctx: Context, name: str, question: str) -> Node:
    """The flow's node of that name, or one that asks the model in the role of that name."""
    node = ctx.flow.nodes.get(name)
    if node is not None:
        return node
    if not question.strip():
        raise NodeError(f"the tier {name!r} is a model: say in `question` what it is asked", path=ctx.path)
    return Prompt(prompt=question, model=name)


def ends_all(error: LaconicError, path: str) -> bool:
    """Whether the failure of the node at `path` leaves nothing to try: a wall that is not the node's own, a flow that
    is written wrong, a replay of what was not recorded.
    """
    if isinstance(error, BudgetExceeded):
        return not is_under(error.scope, path)
    return isinstance(error, (FlowError, ReplayMiss))


def dearer(tiers: Sequence[str], tier: str) -> Sequence[str]:
    """The tiers behind `tier`."""
    return tiers[tiers.index(tier) + 1 :]
