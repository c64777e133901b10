"""Decoding: reading a prompt, and choosing the token behind it as a request says."""

from __future__ import annotations

import secrets
from collections.abc import Generator, Sequence
from hashlib import blake2b
from threading import Event
from typing import TYPE_CHECKING, Any

import msgspec

from ..doubt import Until
from .doubts import doubt
from .passes import Seen, Wanted

if TYPE_CHECKING:
    from .caches import Reading
    from .router import Router

PREFILL = 256
"""Tokens of a prompt that are read in one pass, so that the answers of others get on meanwhile."""
GREEDY = 1e-5
"""A temperature below which the likeliest token is as good as certain."""


class Stopped(Exception):
    """Whoever waited for the answer does so no longer."""


class Chosen(msgspec.Struct, frozen=True):
    """A token that a model chose."""

    id: int
    logprob: float | None
    """None unless anybody asked."""
    top: tuple[tuple[int, float], ...]
    """The likeliest tokens, as many as were asked for, with their log probabilities."""
    doubt: float | None
    """How doubtful it is, if anybody asked."""


class Sampling(msgspec.Struct, frozen=True, kw_only=True):
    """How tokens are chosen."""

    temperature: float = 0.0
    top_p: float | None = None
    seed: int | None = None
    """Draws at one position are the same for the same seed, wherever a call begins."""
    bias: dict[int, float] = msgspec.field(default_factory=dict)
    """Added to the logits of tokens."""
    alternatives: int | None = None
    """How many of the likeliest tokens are told with the log probability of each chosen one; None for neither."""


class Choosing:
    """How the tokens of one answer are chosen."""

    def __init__(self, how: Sampling, until: Until | None, router: Router | None = None) -> None:
        """`router`: what `until` asks, if that is what it asks."""
        self._how = how
        self._until = until
        self._router = router
        self._seed = secrets.randbits(63) if how.seed is None else how.seed

    def choose(self, seen: Seen, position: int) -> Chosen:
        """The token at `position`, which is behind those seen last."""
        logits = seen.logits[-1]
        for token, added in self._how.bias.items():
            logits[token] += added
        chosen = _choose(logits, self._how, self._seed, position)
        doubt = None if self._until is None else self._doubt(self._until, seen, chosen, position)
        if self._how.alternatives is None:
            return Chosen(chosen, None, (), doubt)
        logprobs = logits.log_softmax(-1)
        likeliest = logprobs.topk(self._how.alternatives)
        top = tuple(zip(likeliest.indices.tolist(), likeliest.values.tolist(), strict=True))
        return Chosen(chosen, float(logprobs[chosen]), top, doubt)

    def _doubt(self, until: Until, seen: Seen, chosen: int, position: int) -> float:
        if self._router is None:
            return doubt(until, seen.logits[-1], position)
        return self._router.doubt(seen.logits[-1], seen.hidden[-1], chosen)


def read(
    reading: Reading, ids: Sequence[int], stopped: Event, *, hidden: bool = False
) -> Generator[Wanted, Seen, Seen]:
    """What is behind the last of `ids`, which are read on. Raises Stopped once `stopped` is set, between two passes."""
    for start in range(0, len(ids), PREFILL):
        seen = yield from one_pass(Wanted(reading, ids[start : start + PREFILL], hidden=hidden), stopped)
    return seen


def prompt_logprobs(
    reading: Reading, ids: Sequence[int], stopped: Event
) -> Generator[Wanted, Seen, list[float | None]]:
    """The log probability of each token of a prompt after those before it, None for the first; reads all but the last.

    `reading` is a new one. Raises Stopped as `read` does.
    """
    import torch

    found: list[float | None] = [None]
    for start in range(0, len(ids) - 1, PREFILL):
        piece = ids[start : min(start + PREFILL, len(ids) - 1)]
        seen = yield from one_pass(Wanted(reading, piece, every=True), stopped)
        following = torch.tensor(ids[start + 1 : start + 1 + len(piece)], device=seen.logits.device)
        found += seen.logits.log_softmax(-1).gather(-1, following[:, None])[:, 0].tolist()
    return found


def one_pass(wanted: Wanted, stopped: Event) -> Generator[Wanted, Seen, Seen]:
    """What comes of one pass. Raises Stopped once `stopped` is set."""
    if stopped.is_set():
        raise Stopped
    return (yield wanted)


def _choose(logits: Any, how: Sampling, seed: int, position: int) -> int:
    import torch

    if how.temperature < GREEDY:
        return int(logits.argmax())
    chances = (logits.double() / how.temperature).softmax(-1).cpu()
    ordered, tokens = chances.sort(descending=True)
    if how.top_p is not None:
        before = ordered.cumsum(-1) - ordered
        ordered = ordered.masked_fill(before >= how.top_p, 0.0)
    drawing = torch.Generator().manual_seed(_seed_at(seed, position))
    return int(tokens[torch.multinomial(ordered, 1, generator=drawing)])


def _seed_at(seed: int, position: int) -> int:
    """A seed for one position, so that it does not matter in how many calls an answer is written."""
    return int.from_bytes(blake2b(f"{seed}/{position}".encode(), digest_size=7).digest(), "big")
