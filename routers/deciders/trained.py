"""`by: {kind: classifier, file: ...}` and `by: {kind: knn, file: ...}`: routers that `laconic router train` made.

They ask no model and spend no token. Their file is looked at when the flow is loaded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field, PrivateAttr

from ...errors import FlowError, InputError, NodeError
from ..decider import Decider, Item, decider
from ..router_file import load_router
from ..trained import TrainedRouter

if TYPE_CHECKING:
    from ...orchestrator.context import Context


@decider("classifier")
class ByClassifier(Decider):
    """A trained router, whatever its method."""

    file: Path = Field(description="The router file; relative to the flow's folder.")

    _router: TrainedRouter | None = PrivateAttr(default=None)

    def check(self, base: Path) -> None:
        """Load the router. Raises InputError for a file that is missing, damaged, refused or of another version."""
        try:
            path = (base / self.file.expanduser()).resolve()
        except RuntimeError as error:  # a home directory that there is not
            raise FlowError(f"the router file {str(self.file)!r} cannot be found: {error}") from error
        self._router = _load(path, path.stat().st_mtime_ns if path.exists() else 0)

    async def decide(self, ctx: Context, item: Item) -> Mapping[str, float]:
        """The router's calibrated probabilities. Raises NodeError for other tiers, or a feature that is not given."""
        router = self._loaded(ctx.flow.base)
        if router.about.tiers != item.tiers:
            raise NodeError(
                f"the router {str(self.file)!r} knows the tiers {', '.join(router.about.tiers)}, and the node has "
                f"{', '.join(item.tiers)}: train it for these, or name them alike and in the same order"
            )
        try:
            chances = await asyncio.to_thread(router.chances, [(item.text, item.features)])
        except InputError as error:
            raise NodeError(f"the router {str(self.file)!r} cannot decide: {error}") from error
        return dict(zip(item.tiers, map(float, chances[0]), strict=True))

    def expected(self, tiers: Sequence[str]) -> Mapping[str, float]:
        """The mean tokens of each tier in training."""
        spread = {} if self._router is None else self._router.about.tokens
        return {tier: spread[tier].mean for tier in tiers if tier in spread}

    def _loaded(self, base: Path) -> TrainedRouter:
        if self._router is None:
            self.check(base)
        assert self._router is not None
        return self._router


@decider("knn")
class ByNeighbours(ByClassifier):
    """A router that was trained with `--method knn`."""

    def check(self, base: Path) -> None:
        """Load the router. Raises FlowError if it is of another method."""
        super().check(base)
        if self._router is not None and self._router.about.method != "knn":
            method = self._router.about.method
            raise FlowError(f"the router {str(self.file)!r} was trained with {method}: write `kind: classifier`")


@lru_cache(maxsize=16)
def _load(path: Path, changed: int) -> TrainedRouter:  # noqa: ARG001  # part of the key of the cache
    """The router in a file; `changed` is when the file was, so that a new one is read."""
    return load_router(path)
