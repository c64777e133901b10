"""One request on its way: chosen tokens become text until it is stopped, whole or in part a `Completion`."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tokenizers.decoders import DecodeStream

from ...errors import BadRequest
from ..doubt import Until, read_until
from ..request import Completion, FinishReason, Request, TokenLogprob
from ..usage import Usage
from .decoding import Choosing, Chosen, Sampling, Stopped, prompt_logprobs, read
from .features import features, read_features, save_features
from .passes import Answer, Seen, Wanted
from .router import router_for

if TYPE_CHECKING:
    from .caches import Reading
    from .weights import Weights


BEFORE = 8
"""Tokens of the prompt that are looked at for the beginning of a character that the answer's first token may end."""


class Answering:
    """A request that a model answers in its thread; whoever waits for it may stop it at any token."""

    def __init__(
        self, weights: Weights, request: Request, ids: Sequence[int], most: int, tell: Callable[[str], None] | None
    ) -> None:
        """`ids`: the prompt. `most`: tokens to generate. `tell`: called with each piece of text, in the thread.

        Raises `BadRequest` for an `until`, `features` or a `logit_bias` that is not well formed, and for a router of
        other models.
        """
        self.weights = weights
        self.request = request
        self.ids = ids
        self.stopped = threading.Event()
        self.kept: int | None = None
        """Tokens of the prompt that had been read before; None until it begins."""
        self.generated = 0
        """Tokens that were chosen, those that are not part of the answer included."""
        self._most = most
        self._tell = tell
        self._until: Until | None = read_until(request.extra["until"]) if "until" in request.extra else None
        asked = None if self._until is None else self._until.router
        self._router = None if asked is None else router_for(weights, asked.file, asked.digest)
        self._features = read_features(request.extra["features"], len(ids)) if "features" in request.extra else None
        sampling = Sampling(
            temperature=request.temperature,
            top_p=request.top_p,
            seed=request.seed,
            bias=_bias(request, weights.vocabulary),
            alternatives=request.logprobs,
        )
        self._choosing = Choosing(sampling, self._until, self._router)
        self._tokens: list[Chosen] = []
        self._text = _Text(weights, request.stop, ids[-BEFORE:])
        self._prompt_logprobs: tuple[float | None, ...] | None = None
        self._finish: FinishReason = "cut"
        self._began = 0.0
        self._first: float | None = None

    @property
    def reads_anew(self) -> bool:
        """Whether it wants to know something about each token of the prompt, those that were read before too."""
        return self.request.prompt_logprobs or self._features is not None

    def passes(self, reading: Reading) -> Answer:
        """Answer, until the answer ends, is as long as it may be, or is stopped."""
        self.kept = len(reading.ids)
        self._began = time.monotonic()
        with suppress(Stopped):
            self._finish = yield from self._answer(reading)
        self._tell_piece(self._text.rest())

    def _answer(self, reading: Reading) -> Generator[Wanted, Seen, FinishReason]:
        """Why it ended."""
        if self.request.prompt_logprobs:
            self._prompt_logprobs = tuple((yield from prompt_logprobs(reading, self.ids, self.stopped)))
        if self._features is not None:
            found = yield from features(self.weights, reading, self.ids, self._features.start, self.stopped)
            save_features(Path(self._features.file), found, self.weights.ends)
            return "cut"
        unread = self.ids[len(reading.ids) :]
        while True:
            seen = yield from read(reading, unread, self.stopped, hidden=self._router is not None)
            token = self._choosing.choose(seen, len(reading.ids))
            self.generated += 1
            if self._until is not None and token.doubt is not None and token.doubt > self._until.above:
                return "cut"
            if token.id in self.weights.ends:
                return "stop"
            self._add(token)
            if self._text.stopped:
                return "stop"
            if self.generated == self._most:
                return "length"
            unread = [token.id]

    def completion(self, model: str) -> Completion:
        """What has been answered so far."""
        return Completion(
            text=self._text.whole(),
            usage=Usage(0, 0, 0, 0, 0) if self.kept is None else Usage(len(self.ids), self.generated, self.kept, 0, 0),
            model=model,
            finish_reason=self._finish,
            token_ids=tuple(token.id for token in self._tokens),
            prompt_token_ids=tuple(self.ids),
            logprobs=self._logprobs(),
            prompt_logprobs=self._prompt_logprobs,
            seconds=0.0 if self.kept is None else time.monotonic() - self._began,
            first_token_seconds=self._first if self._tell is not None else None,
        )

    def _add(self, token: Chosen) -> None:
        if self._first is None:
            self._first = time.monotonic() - self._began
        self._tokens.append(token)
        self._tell_piece(self._text.add(token.id))

    def _tell_piece(self, piece: str) -> None:
        if piece and self._tell is not None:
            self._tell(piece)

    def _logprobs(self) -> tuple[TokenLogprob, ...] | None:
        if self.request.logprobs is None:
            return None
        name = self.weights.tokenizer.piece
        return tuple(
            TokenLogprob(name(token.id), token.logprob, token.id, tuple((name(id), value) for id, value in token.top))
            for token in self._tokens
            if token.logprob is not None
        )


class _Text:
    """The text of tokens as they come, up to the first of the texts that end it."""

    def __init__(self, weights: Weights, stop: Sequence[str], before: Sequence[int]) -> None:
        """`before`: the last tokens of the prompt; the text goes on from there, be it in the middle of a character."""
        self.stopped = False
        self._weights = weights
        self._stop = [text for text in stop if text]
        self._stream = DecodeStream(skip_special_tokens=False)
        self._text = ""
        self._told = 0
        for token in before:
            weights.tokenizer.step(self._stream, token)

    def add(self, token: int) -> str:
        """Take in a token; returns what text is certain now and was not before."""
        self._text += self._weights.tokenizer.step(self._stream, token)
        found = [place for place in (self._text.find(text) for text in self._stop) if place >= 0]
        if found:
            self._text, self.stopped = self._text[: min(found)], True
        held_back = 0 if self.stopped else max((len(text) - 1 for text in self._stop), default=0)
        certain = max(self._told, len(self._text) - held_back)
        piece, self._told = self._text[self._told : certain], certain
        return piece

    def rest(self) -> str:
        """What was held back in case it began a text that ends the answer."""
        piece, self._told = self._text[self._told :], len(self._text)
        return piece

    def whole(self) -> str:
        return self._text


def _bias(request: Request, vocabulary: int) -> dict[int, float]:
    written = request.extra.get("logit_bias") or {}
    try:
        bias = {int(token): float(added) for token, added in written.items()}
    except (AttributeError, TypeError, ValueError) as error:
        raise BadRequest(
            f"`logit_bias` gives token ids their additions, such as {{42: -5}}, not {written!r}"
        ) from error
    if any(math.isnan(added) for added in bias.values()):
        raise BadRequest("`logit_bias` adds something that is no number")
    outside = next((token for token in bias if not 0 <= token < vocabulary), None)
    if outside is not None:
        raise BadRequest(f"`logit_bias` names the token {outside}; the model has 0 to {vocabulary - 1}")
    return bias
