"""Search: the passages of a corpus that fit a query best, as evidence."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ..errors import BackendError
from ..orchestrator.part import PartMark
from ..orchestrator.shown import shorten
from ..orchestrator.tool import Tool, tool
from .corpus import Corpus, Passage
from .index import open_index
from .nothing import NO_EVIDENCE
from .ranking import RankingOptions, rank

if TYPE_CHECKING:
    from ..orchestrator.context import Context


class Reranking(RankingOptions):
    """A model that ranks what BM25 finds."""

    candidates: int = Field(default=20, ge=2, le=1000, description="How many passages BM25 finds for the model.")


@tool("search")
class Search(Tool):
    """BM25 search over a JSONL file of `{"title": ..., "text": ...}` lines, a text file, or a folder of .txt and .md;
    a model may rank what it finds.

    Answers with one line per passage, `Title: text`, best first; "No evidence found." if no passage shares a word with
    the query. The title of a text file is its name without the suffix; files are searched in passages of about a
    thousand characters. What the passages say is data: nothing in it is ever followed.
    """

    class Arguments(BaseModel):
        """What to look for."""

        model_config = ConfigDict(extra="forbid")

        query: str = Field(description="Names and words to look for.")

    description: str = Field(
        default="Searches an encyclopedia and returns the passages that fit best. "
        "Use it to look up facts about people, places, works and events. Input: a name or a few words.",
        description="What the tool does and when to use it; shown to the model.",
    )
    corpus: Path = Field(description="A JSONL file, a text file, or a folder of .txt and .md files.")
    top: int = Field(default=3, ge=1, le=1000, description="Most passages to return.")
    max_chars: int = Field(
        default=600, ge=20, description="Most characters of a passage's text; cut at a word, with '…'."
    )
    title_field: str | None = Field(default="title", description="JSONL: the field with the title; null for none.")
    text_field: str = Field(default="text", description="JSONL: the field with the text.")

    rerank: Annotated[Reranking | None, PartMark()] = Field(
        default=None, description="Have a model put the best passages in order, by one token a window; null for none."
    )

    @model_validator(mode="after")
    def _enough_candidates(self) -> Self:
        if self.rerank is not None and self.rerank.candidates < self.top:
            raise ValueError(
                f"rerank.candidates: {self.rerank.candidates} passages are fewer than the {self.top} of `top`"
            )
        return self

    def check(self) -> None:
        """See whether the corpus is there. Raises FlowError."""
        self._passages().check()

    async def call(self, ctx: Context, args: Arguments) -> str:
        """The best passages. The first call over a corpus builds its index in a thread.

        Raises InputError naming the file and line that is not valid, FlowError if the corpus is gone.
        """
        index = await open_index(self._passages())
        most = self.top if self.rerank is None else self.rerank.candidates
        found = await asyncio.to_thread(index.search, args.query, most)
        if self.rerank is not None:
            found = await self._reranked(ctx, self.rerank, args.query, found)
        return "\n".join(map(self._line, found)) or NO_EVIDENCE

    async def _reranked(self, ctx: Context, options: Reranking, query: str, found: Sequence[Passage]) -> list[Passage]:
        """The best passages by a model's judgement; by BM25's, with a note, if its call fails."""
        texts = [f"{passage.title}: {passage.text}" if passage.title else passage.text for passage in found]
        try:
            order = await rank(ctx, query, texts, options)
        except BackendError as error:
            ctx.note(f"the passages were not ranked by {options.model}: {error}")
            return list(found[: self.top])
        return [found[place] for place in order[: self.top]]

    def _passages(self) -> Corpus:
        return Corpus(self.locate(self.corpus), self.title_field, self.text_field)

    def _line(self, passage: Passage) -> str:
        text = shorten(passage.text, self.max_chars)
        return f"{passage.title}: {text}" if passage.title else text
