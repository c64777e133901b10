"""What the kinds share in which a small and a large model write one answer: the fields, the course, the bill."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from pydantic import Field

from ..errors import BackendError, BudgetExceeded, ReplayMiss
from ..orchestrator.node import ModelRole, Node
from ..orchestrator.template import Template
from .routed import Routed, Share, Span, Writer
from .threshold import Fixed, Rolling
from .two_models import Turns, turns

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from ..accounting.call import Call
    from ..orchestrator.context import Context


class TwoWriters(Node):
    """The answer of two models, each stretch of it written by one of them.

    It ends where the model whose turn it is ends it. If the budget does not suffice, what is written stands.
    """

    prompt: Template = Field(description="What the models are asked.")
    system: Template | None = Field(default=None, description="The system message.")
    small: ModelRole = Field(default="small", description="The role that writes.")
    large: ModelRole = Field(default="large", description="The role that writes what the small one is in doubt about.")
    above: float | None = Field(
        default=None, description="A token with more doubt is the large model's: .inf for never, -.inf for always."
    )
    share: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="In place of `above`: the share of tokens that the large model writes.",
    )
    seed: int = Field(default=0, description="With `by: random`: what is drawn from.")
    max_tokens: int = Field(default=512, ge=1, description="Most tokens of the answer.")
    without_large: Literal["fail", "small"] = Field(
        default="fail", description="If the large model fails: fail, or let the small one write the rest."
    )

    def model_post_init(self, context: Any) -> None:
        """Raises ValueError for fields that do not go together."""
        if self.above is not None and self.share is not None:
            raise ValueError("`above` and `share` both say how many tokens are the large model's; give one of them")
        if self.above is not None and math.isnan(self.above):
            raise ValueError("`above` is a number")
        if self.small == self.large:
            raise ValueError(f"`small` and `large` are the same role {self.small!r}")

    async def run(self, ctx: Context) -> Routed:
        """The answer. Raises NodeError for models that cannot do this together, BackendError, BudgetExceeded."""
        writing = await self._begin(ctx, turns(ctx, self.prompt, self.system))
        try:
            await writing.whole()
        except BudgetExceeded as error:
            if writing.left == self.max_tokens:
                raise
            ctx.cut_short(error)
        answer = writing.answer()
        ctx.note(
            f"{answer.large.written} of {answer.small.written + answer.large.written} tokens by {self.large} "
            f"({answer.share:.0%}), which read {answer.large.read}; {answer.small.replaced} of {self.small} replaced"
        )
        return answer

    @abstractmethod
    async def _begin(self, ctx: Context, turns: Turns) -> Writing[Any]:
        """An answer of which nothing is written yet. Raises NodeError if the models cannot do it."""


Kind = TypeVar("Kind", bound=TwoWriters)
Said = TypeVar("Said")


class Writing(ABC, Generic[Kind]):
    """An answer while it is written."""

    def __init__(self, node: Kind, ctx: Context, asked: object, threshold: Fixed | Rolling) -> None:
        """`asked`: what tells this question from others."""
        self.node = node
        self.ctx = ctx
        self.seed = drawn_from(node.seed, asked)
        self.threshold = threshold
        self.left = node.max_tokens
        self.spans: list[Span] = []
        self.replaced: dict[Writer, int] = {"small": 0, "large": 0}
        self.doubted: list[tuple[Call, int | None]] = []
        """Calls of the small model, and how many of their tokens will not stand once the large one has answered; None:
        nothing of the call stands."""
        self.router_parameters = 0
        """Of a network that looks at every token of the small model."""
        self.roles: dict[Writer, str] = {"small": node.small, "large": node.large}

    @abstractmethod
    async def whole(self) -> None:
        """Write until one of the models ends the answer, or it is as long as it may be."""

    def answer(self) -> Routed:
        """What has been written."""
        calls = self.ctx.calls()
        shares = {
            by: Share(
                written=sum(span.tokens for span in self.spans if span.by == by),
                replaced=self.replaced[by],
                read=sum(
                    (call.usage.prompt or 0) - (call.usage.cache_read or 0) for call in calls if call.model == role
                ),
                calls=sum(call.model == role for call in calls),
            )
            for by, role in self.roles.items()
        }
        return Routed(self.spans, shares["small"], shares["large"], self.router_parameters)

    async def _of_large(self, asked: Coroutine[Any, Any, Said]) -> Said | None:
        """What the large model says; None if it failed and the small one is to write the rest.

        What it replaces is unused in the ledger, and calls that it replaces as a whole are `discarded`.
        """
        try:
            said = await asked
        except (BudgetExceeded, ReplayMiss):
            raise
        except BackendError as error:
            if self.node.without_large == "fail":
                raise
            self.ctx.note(f"{self.node.small} wrote the rest, since {self.node.large} failed: {error}")
            self.threshold = Fixed(math.inf)
            return None
        finally:
            doubted, self.doubted = self.doubted, []
        for call, tokens in doubted:
            self.ctx.discard_call(call, tokens)
        return said


def drawn_from(seed: int, asked: object) -> int:
    """What is drawn from for one question, so that not every answer is in doubt at the same places."""
    return int.from_bytes(blake2b(f"{seed}/{asked}".encode(), digest_size=6).digest(), "big")
