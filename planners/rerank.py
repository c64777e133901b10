"""`kind: rerank`: a list put in the order in which it helps to answer a query, by a model that writes one
token for each window of it (FIRST, Reddy et al. 2024, arXiv 2406.15657).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from pydantic import Field

from ..orchestrator import Context, Node, Template, TemplateTree, kind
from ..tools.listwise import Listwise
from ..tools.ranking import RankingOptions, rank
from .items import listed, shown_items


class Window(Node):
    """One window of a ranking; the value is its places, best first."""

    kind: ClassVar[str] = "window"

    judge: Listwise
    places: tuple[int, ...]

    async def run(self, ctx: Context) -> list[int]:
        """A call of one token for each order in which the window is shown."""
        return await self.judge.ordered(ctx, self.places)


@kind("rerank")
class Rerank(RankingOptions, Node):
    """Put a list in order, what helps most to answer a query first; the value is the list in that order."""

    query: Template = Field(description="What the candidates should help to answer.")
    candidates: TemplateTree = Field(description="The list to put in order: texts, or mappings shown by `item`.")
    item: Template = Field(
        default="{{ item }}", description="How a candidate is shown; mentions `item`, maybe `index`."
    )
    top: int | None = Field(default=None, ge=1, description="How many to return; null for all.")

    def references(self) -> frozenset[str]:
        """What is mentioned, but for the candidate itself."""
        return super().references() - {"item", "index"}

    async def run(self, ctx: Context) -> list[Any]:
        """Children: `window-1` at the bottom of the list, `window-2`, ... up to its top."""
        candidates = listed(ctx, self.candidates, "candidates")
        texts = shown_items(ctx, candidates, self.item)

        async def judged(judge: Listwise, number: int, places: Sequence[int]) -> list[int]:
            name = f"window-{number}"
            found: list[int] = (await ctx.expand({name: Window(judge=judge, places=tuple(places))}))[name]
            return found

        order = await rank(ctx, ctx.text(self.query), texts, self, judged)
        return [candidates[place] for place in order[: self.top]]
