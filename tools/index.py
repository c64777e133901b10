"""Index: BM25 over the passages of a corpus, built once per process and shared by every search over it.

Ranking is BM25 as Lucene computes it (k1 = 1.5, b = 0.75), by the library bm25s (Lù 2024, arXiv 2407.03618). The words
of a title count `TITLE_WEIGHT` times, because planners ask for things by their names.
"""

from __future__ import annotations

import asyncio
import os
import re
import threading
import unicodedata
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from .corpus import Corpus, Passage

TITLE_WEIGHT = 3
_UNTELLING = """
a an and are as at be been but by did do does for from had has have how if in into is it its many much no not of on or s
such that the their then there these they this to was were what when where which who whom whose why will with
"""
STOP_WORDS = frozenset(_UNTELLING.split())
"""Words that say nothing about what is looked for; left out of a query unless it has no others ("The Who")."""

_WORD = re.compile(r"[぀-ヿ㐀-䶿一-鿿]|[^\W_぀-ヿ㐀-䶿一-鿿]+")
"""A run of letters and digits; in Chinese and Japanese, which put no space between words, a single character."""


def words(text: str) -> list[str]:
    """The words of `text` as they are compared: without case, accents, punctuation and the English plural's s."""
    text = text.casefold()
    if not text.isascii():
        text = "".join(sign for sign in unicodedata.normalize("NFKD", text) if not unicodedata.combining(sign))
    return [_singular(word) for word in _WORD.findall(text)]


def _singular(word: str) -> str:
    """Harman's S-stemmer (1991), a little simplified."""
    if len(word) < 4 or word[-1] != "s" or word[-2] in "su":
        return word
    return f"{word[:-3]}y" if word.endswith("ies") and len(word) > 4 else word[:-1]


class Index:
    """Passages and their BM25 scores. Never changes once it is built, so any thread may search it."""

    def __init__(self, passages: list[Passage]) -> None:
        """Takes about 0.1 s per thousand short paragraphs; no output, no network."""
        self.passages = passages
        self._ids: dict[str, int] = {}
        known = self._ids
        documents = [
            [known.setdefault(word, len(known)) for word in words(passage.title) * TITLE_WEIGHT + words(passage.text)]
            for passage in passages
        ]
        self._scores: Any = None
        if known:
            self._scores = _bm25s().BM25()
            self._scores.index((documents, known), create_empty_token=False, show_progress=False)

    def search(self, query: str, top: int) -> list[Passage]:
        """The best passages that share a word with the query, best first, ties in the order of the corpus."""
        asked = dict.fromkeys(words(query))
        telling = [word for word in asked if word not in STOP_WORDS] or list(asked)
        ids = [self._ids[word] for word in telling if word in self._ids]
        if not ids:
            return []
        import numpy as np

        scores = self._scores.get_scores_from_ids(ids)
        # Sorting only what can be among the best keeps a search in a large corpus short.
        least = np.partition(scores, -top)[-top] if top < len(scores) else 0.0
        candidates = np.flatnonzero((scores >= least) & (scores > 0))
        best = candidates[np.argsort(-scores[candidates], kind="stable")][:top]
        return [self.passages[place] for place in best]


_Fingerprint = tuple[tuple[str, int, int], ...]

_guard = threading.Lock()
_built: dict[Corpus, tuple[_Fingerprint, Future[Index]]] = {}
_builder = ThreadPoolExecutor(max_workers=1, thread_name_prefix="laconic-index")


async def open_index(corpus: Corpus) -> Index:
    """The index of `corpus`; built if its files are new or changed, in a thread, once for all who ask meanwhile.

    Raises FlowError if there is no corpus, InputError if it cannot be read.
    """
    fingerprint = await asyncio.to_thread(corpus.fingerprint)
    with _guard:
        known = _built.get(corpus)
        if known is None or known[0] != fingerprint or _failed(known[1]):
            known = _built[corpus] = (fingerprint, Future())
            # A running future cannot be cancelled: one who gives up waiting does not take the index from the others.
            known[1].set_running_or_notify_cancel()
            _builder.submit(_build, corpus, known[1])
    return await asyncio.wrap_future(known[1])


def _build(corpus: Corpus, future: Future[Index]) -> None:
    try:
        index = Index(corpus.read())
    except BaseException as error:  # whatever it was, those who wait for the index must hear of it
        future.set_exception(error)
    else:
        future.set_result(index)


def _failed(future: Future[Index]) -> bool:
    return future.done() and future.exception() is not None


def _bm25s() -> Any:
    """The library, without its progress bars (whose import warns in some notebooks) and its debug messages."""
    import logging

    before = os.environ.get("DISABLE_TQDM")
    os.environ["DISABLE_TQDM"] = "1"
    try:
        import bm25s
    finally:
        if before is None:
            del os.environ["DISABLE_TQDM"]
        else:
            os.environ["DISABLE_TQDM"] = before
    logging.getLogger("bm25s").setLevel(logging.WARNING)
    return bm25s
