"""`kind: token_route`: a small model writes, and a large one of the same tokens writes those that matter.

After R2R (Fu et al., 2025, arXiv 2505.21600). Each model is asked by ordinary calls that go on where the answer stands:
a call of the small model ends before the first token that is too doubtful (`laconic.backends.doubt`), a call of the
large one gives that token. Both keep what they have read, as a server's prefix cache does, so that the large model
reads the tokens it did not write in one pass when its turn comes; the bill says how many they were.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pydantic import Field

from ..backends.doubt import Measure, Until
from ..backends.request import Completion
from ..errors import NodeError
from ..orchestrator.node import kind
from .routed import Span, Writer
from .threshold import Rolling, threshold
from .two_writers import Turns, TwoWriters, Writing

if TYPE_CHECKING:
    from ..orchestrator.context import Context

AT_ONCE = 32
"""Tokens that the small model writes in one call where the threshold follows a wanted share."""


@kind("token_route")
class TokenRoute(TwoWriters):
    """The answer of two models with the same tokens, each token written by one of them.

    Both are run in this process (`backend: transformers`). The answer ends where the model whose turn it is ends it.
    If the budget does not suffice, what is written stands.
    """

    by: Measure = Field(default="entropy", description="How doubtful a token is.")
    above: float | None = Field(
        default=None,
        description="A token with more doubt is the large model's: .inf for never, -.inf for always. By default 0.45 "
        "for entropy, 2.275 for aleatoric, 0.5 for margin and random.",
    )

    async def _begin(self, ctx: Context, turns: Turns) -> _Tokens:
        await self._same_tokens(ctx)
        return _Tokens(self, ctx, (await ctx.count(turns, model=self.small)).ids or ())

    async def _same_tokens(self, ctx: Context) -> None:
        small, large = await ctx.facts(self.small), await ctx.facts(self.large)
        for role, facts in ((self.small, small), (self.large, large)):
            if facts.vocabulary is None or not facts.knows("until"):
                raise NodeError(
                    f"the model in the role {role!r} cannot be asked token by token; `token_route` needs two models "
                    "with `backend: transformers`",
                    path=ctx.path,
                )
        if small.vocabulary != large.vocabulary:
            raise NodeError(
                f"the models in the roles {self.small!r} and {self.large!r} have different tokens, so that neither can "
                "go on with what the other wrote; take two models of one family",
                path=ctx.path,
            )


class _Tokens(Writing[TokenRoute]):
    """An answer while it is written."""

    def __init__(self, node: TokenRoute, ctx: Context, prompt: Sequence[int]) -> None:
        super().__init__(node, ctx, threshold(node.by, node.above, node.share))
        self.ids = list(prompt)

    async def whole(self) -> None:
        """Write until one of the models ends the answer, or it is as long as it may be."""
        while self.left:
            if self.threshold.above > -math.inf:
                drafted = await self._draft()
                if drafted.finish_reason == "stop":
                    return
                if drafted.finish_reason != "cut":
                    continue
            decided = await self._decide()
            if decided is not None and decided.finish_reason == "stop":
                return

    async def _draft(self) -> Completion:
        """Let the small model write up to the first doubtful token."""
        above = self.threshold.above
        most = min(self.left, AT_ONCE) if isinstance(self.threshold, Rolling) else self.left
        until = Until(measure=self.node.by, above=above, seed=self.node.seed).written()
        drafted = await self._complete("small", "draft", most, {} if above == math.inf else {"until": until})
        self.threshold.kept(len(drafted.token_ids or ()))
        if drafted.finish_reason == "cut" and not drafted.token_ids:
            self.doubted.append(self.ctx.calls()[-1])
        return drafted

    async def _decide(self) -> Completion | None:
        """Let the large model give the token; None if it failed and the small one is to write the rest."""
        decided = await self._of_large(
            self._complete("large", "decide", self.left if self.threshold.above == -math.inf else 1)
        )
        if decided is None:
            return None
        if not decided.token_ids and decided.finish_reason != "stop":
            raise NodeError(f"{self.node.large} gave no token when it was asked for one; has its `extra` an `until`?")
        self.threshold.replaced()
        return decided

    async def _complete(self, by: Writer, purpose: str, most: int, extra: dict[str, Any] | None = None) -> Completion:
        """Have a model go on with the answer."""
        said = await self.ctx.complete(
            prompt_token_ids=self.ids, model=self.roles[by], purpose=purpose, max_tokens=most, extra=extra
        )
        new = said.token_ids or ()
        self.ids += new
        self.left -= len(new)
        self.spans.append(Span(by, said.text, len(new)))
        self.replaced[by] += said.finish_reason == "cut" and by == "small"
        return said
