"""`kind: token_route`: a small model writes, and a large one of the same tokens writes those that matter.

After R2R (Fu et al., 2025, arXiv 2505.21600). Each model is asked by ordinary calls that go on where the answer stands:
a call of the small model ends before the first token that is too doubtful (`laconic.backends.doubt`), a call of the
large one gives that token. Both keep what they have read, as a server's prefix cache does, so that the large model
reads the tokens it did not write in one pass when its turn comes; the bill says how many they were.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from pydantic import Field, PrivateAttr

from ..backends.doubt import Measure, RouterFile, Until
from ..backends.request import Completion
from ..backends.token_router import About, file_digest, mismatch, read_about
from ..errors import FlowError, ModelFileError, NodeError
from ..orchestrator.node import kind
from .routed import Span, Writer
from .threshold import Rolling, threshold
from .two_models import Turns, facts_of_both
from .two_writers import TwoWriters, Writing

if TYPE_CHECKING:
    from ..orchestrator.context import Context

AT_ONCE = 32
"""Tokens that the small model writes in one call where the threshold follows a wanted share."""


class _Router(msgspec.Struct, frozen=True):
    """A router's file as it was when the flow was loaded."""

    file: RouterFile
    about: About


@lru_cache(maxsize=16)
def _known(path: Path, changed: int) -> _Router:  # noqa: ARG001  # part of the key of the cache
    """What a router's file is; `changed` is when the file was, so that a new one is looked at."""
    about = read_about(path)
    return _Router(RouterFile(str(path), file_digest(path)), about)


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
        "for entropy, 2.275 for aleatoric, 0.5 for margin and random, the router's own for neural.",
    )
    router: Path | None = Field(
        default=None,
        description="With `by: neural`: the file that `laconic token-router train` made for these two models, relative "
        "to the flow's folder.",
    )

    _router: _Router | None = PrivateAttr(default=None)

    def model_post_init(self, context: Any) -> None:
        """Raises ValueError for fields that do not go together."""
        super().model_post_init(context)
        if (self.by == "neural") != (self.router is not None):
            raise ValueError("`by: neural` goes with `router`, the file of one, and nothing else does")

    def check(self, base: Path) -> None:
        """Look at the router's file. Raises FlowError for one that is missing or no router."""
        if self.router is not None:
            try:
                path = (base / self.router.expanduser()).resolve()
                self._router = _known(path, path.stat().st_mtime_ns if path.exists() else 0)
            except OSError as error:
                raise FlowError(f"the router {str(self.router)!r} cannot be read: {error.strerror}") from error
            except (ModelFileError, RuntimeError) as error:  # RuntimeError: a home directory that there is not
                raise FlowError(str(error)) from error

    async def _begin(self, ctx: Context, turns: Turns) -> _Tokens:
        if self.router is not None and self._router is None:
            self.check(ctx.flow.base)
        await self._check_models(ctx)
        return _Tokens(self, ctx, await ctx.token_ids(turns, model=self.small))

    async def _check_models(self, ctx: Context) -> None:
        """Raises NodeError for models that cannot go on with each other's tokens, or that the router does not know."""
        small, large = await facts_of_both(ctx, self.small, self.large)
        if self._router is None:
            return
        other = mismatch(
            self._router.about, vocabulary=small.vocabulary, small=small.weights, large=large.weights or ""
        )
        if other:
            raise NodeError(
                f"the router {str(self.router)!r} was trained with {other}; train one for the models in the roles "
                f"{self.small!r} and {self.large!r} with `laconic token-router label` and `train`",
                path=ctx.path,
            )


class _Tokens(Writing[TokenRoute]):
    """An answer while it is written."""

    def __init__(self, node: TokenRoute, ctx: Context, prompt: Sequence[int]) -> None:
        self.router = node._router
        start = None if self.router is None else self.router.about.threshold
        super().__init__(node, ctx, list(prompt), threshold(node.by, node.above, node.share, start))
        self.ids = list(prompt)
        self.router_parameters = 0 if self.router is None else self.router.about.shape.parameters

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
        router = None if self.router is None else self.router.file
        until = Until(measure=self.node.by, above=above, seed=self.seed, router=router).written()
        drafted = await self._complete("small", "draft", most, {} if above == math.inf else {"until": until})
        self.threshold.kept(len(drafted.token_ids or ()))
        if drafted.finish_reason == "cut":
            self.doubted.append((self.ctx.latest_call(), 1 if drafted.token_ids else None))
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
