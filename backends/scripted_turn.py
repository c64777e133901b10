"""One call on its way through a scripted server: what its text generates, and what it has cost so far."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate
from math import log
from typing import TYPE_CHECKING

import msgspec

from .request import Completion, FinishReason, Request, TokenLogprob
from .usage import Usage

if TYPE_CHECKING:
    from .prefix_cache import Running
    from .tokenizers import FileTokenizer


class Reply(msgspec.Struct, frozen=True):
    """A generated answer. `ids` are all tokens that were generated, `text` what is shown of them."""

    ids: list[int]
    text: str
    finish: FinishReason
    pieces: list[str]
    """The text that each token shows; they add up to `text`. Empty if nobody needs them."""

    def logprobs(self, tokenizer: FileTokenizer, alternatives: int) -> tuple[TokenLogprob, ...]:
        """Those of a model that is certain of each of its tokens."""
        texts = [tokenizer.decode([token]) for token in self.ids]
        top = [((text, 0.0),) if alternatives else () for text in texts]
        return tuple(map(TokenLogprob, texts, [0.0] * len(texts), self.ids, top))


def generate(tokenizer: FileTokenizer, text: str, *, most: int, stops: Sequence[str], streamed: bool) -> Reply:
    """Generate `text`, at most `most` tokens of it, up to the first stop string.

    As on a real server the tokens of the stop string are generated and counted, but not shown, and a character of which
    only some bytes were generated is not shown either. `streamed` asks for the pieces.
    """
    ids = tokenizer.encode(text)
    stops = [stop for stop in stops if stop]
    if len(ids) <= most and not streamed and not any(stop in text for stop in stops):
        return Reply(ids, text, "stop", [])
    finish: FinishReason = "stop" if len(ids) <= most else "length"
    ids = ids[:most]
    pieces = tokenizer.pieces(ids)
    text = "".join(pieces)
    found = [(text.index(stop), text.index(stop) + len(stop)) for stop in stops if stop in text]
    if found:
        start, end = min(found)
        generated = bisect_left(list(accumulate(map(len, pieces))), end) + 1
        ids, text, finish = ids[:generated], text[:start], "stop"
        pieces = _clip(pieces[:generated], start)
    return Reply(ids, text, finish, pieces)


def _clip(pieces: list[str], length: int) -> list[str]:
    """The pieces as far as their first `length` characters; the rest of them show nothing."""
    ends = list(accumulate(map(len, pieces)))
    return [piece[: max(0, len(piece) - max(0, end - length))] for piece, end in zip(pieces, ends, strict=True)]


class Turn(msgspec.Struct):
    """One call on its way through the scripted server. Token figures are what it has cost so far."""

    request: Request
    prompt: list[int]
    computed: int
    cached: int
    started: float
    running: Running | None = None
    """The blocks it holds in the prefix cache, where there is one."""
    generated: int = 0
    reply: Reply | None = None

    def end(self) -> None:
        """Give the blocks of the cache back; what was generated is remembered, but nothing was computed on the last."""
        if self.running is not None:
            written = self.reply.ids[: max(0, self.generated - 1)] if self.reply is not None else []
            self.running.end(self.prompt + written)

    def prompt_logprobs(self) -> tuple[float | None, ...]:
        """Those of a model for which a token is the rarer the later it stands in the vocabulary (Zipf's law)."""
        return tuple(None if place == 0 else -log(2 + token) for place, token in enumerate(self.prompt))

    def usage(self) -> Usage:
        """What the server reports when the answer is whole."""
        return Usage(len(self.prompt), self.generated, self.cached, 0, 0, "server")

    def partial(self, model: str, *, streamed: bool) -> Completion:
        """What a client has of the answer when the connection ends here, counted by the client."""
        shown = self.generated if streamed else 0
        usage = Usage(len(self.prompt), shown if streamed else None, self.cached, 0, 0, "counted")
        pieces, ids = (self.reply.pieces, self.reply.ids) if self.reply else ([], [])
        return Completion(
            text="".join(pieces[:shown]),
            usage=usage,
            model=model,
            finish_reason="cut",
            token_ids=tuple(ids[:shown]),
            seconds=time.perf_counter() - self.started,
        )
