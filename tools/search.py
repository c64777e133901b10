"""Search: the passages of a corpus that fit a query best, as evidence."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from ..orchestrator.tool import Tool, tool
from .corpus import Corpus, Passage
from .index import open_index
from .nothing import NO_EVIDENCE

if TYPE_CHECKING:
    from ..orchestrator.context import Context


@tool("search")
class Search(Tool):
    """BM25 search over a JSONL file of `{"title": ..., "text": ...}` lines, a text file, or a folder of .txt and .md.

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

    def check(self) -> None:
        """See whether the corpus is there. Raises FlowError."""
        self._passages().check()

    async def call(self, ctx: Context, args: Arguments) -> str:
        """The best passages. The first call over a corpus builds its index in a thread.

        Raises InputError naming the file and line that is not valid, FlowError if the corpus is gone.
        """
        index = await open_index(self._passages())
        found = await asyncio.to_thread(index.search, args.query, self.top)
        return "\n".join(map(self._line, found)) or NO_EVIDENCE

    def _passages(self) -> Corpus:
        return Corpus(self.locate(self.corpus), self.title_field, self.text_field)

    def _line(self, passage: Passage) -> str:
        text = shorten(passage.text, self.max_chars)
        return f"{passage.title}: {text}" if passage.title else text


def shorten(text: str, most: int) -> str:
    """`text` in at most `most` characters, cut after a whole word where there is one, "…" showing the cut."""
    if len(text) <= most:
        return text
    head = text[:most]
    kept, space, _ = head.rpartition(" ")
    return f"{kept.rstrip(' ,;:–-') if space else head[:-1]}…"
