"""Decoding: from a prompt's token ids to token after token, chosen as a request says."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from threading import Event
from typing import TYPE_CHECKING, Any

import msgspec

from ..doubt import Until
from .doubts import doubt

if TYPE_CHECKING:
    from .caches import Reading
    from .router import Router
    from .weights import Weights

PREFILL = 256
"""Tokens of a prompt that are read in one pass."""
GREEDY = 1e-5
"""A temperature below which the likeliest token is as good as certain."""


class Stopped(Exception):
    """Whoever waited for the answer does so no longer."""


class Chosen(msgspec.Struct, frozen=True):
    """A token that a model chose."""

    id: int
    logprob: float
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
    alternatives: int = 0
    """How many of the likeliest tokens are told of each chosen one."""


def decode(
    weights: Weights,
    reading: Reading,
    ids: Sequence[int],
    how: Sampling,
    until: Until | None,
    router: Router | None,
    stopped: Event,
) -> Iterator[Chosen]:
    """Choose token after token behind `ids`, of which `reading` has read a part, for as long as it is asked to.

    A token is read when the next one is asked for; `reading` then holds it. Runs the model: call it in a thread.
    `router` is what `until` asks, if that is what it asks. Raises Stopped once `stopped` is set, between two passes.
    """
    import torch

    seed = secrets.randbits(63) if how.seed is None else how.seed
    unread = list(ids[len(reading.ids) :])
    with torch.inference_mode():
        while True:
            logits, hidden = _read_all(weights, reading, unread, stopped, hidden=router is not None)
            position = len(reading.ids)
            for token, added in how.bias.items():
                logits[token] += added
            chosen = _choose(logits, how, seed, position)
            logprobs = logits.log_softmax(-1)
            likeliest = logprobs.topk(how.alternatives)
            yield Chosen(
                chosen,
                float(logprobs[chosen]),
                tuple(zip(likeliest.indices.tolist(), likeliest.values.tolist(), strict=True)),
                None if until is None else _doubt(until, router, logits, hidden, chosen, position),
            )
            unread = [chosen]


def prompt_logprobs(weights: Weights, reading: Reading, ids: Sequence[int], stopped: Event) -> list[float | None]:
    """The log probability of each token of a prompt after those before it, None for the first; reads all but the last.

    `reading` is a new one. Raises Stopped as `decode` does.
    """
    import torch

    found: list[float | None] = [None]
    with torch.inference_mode():
        for start in range(0, len(ids) - 1, PREFILL):
            piece = list(ids[start : min(start + PREFILL, len(ids) - 1)])
            out = read(weights, reading, piece, stopped, logits=len(piece))
            following = torch.tensor(ids[start + 1 : start + 1 + len(piece)], device=weights.device)
            found += out.logits[0].float().log_softmax(-1).gather(-1, following[:, None])[:, 0].tolist()
    return found


def _doubt(until: Until, router: Router | None, logits: Any, hidden: Any, chosen: int, position: int) -> float:
    import torch

    if router is None:
        return doubt(until, logits, position)
    return float(router.doubts(logits[None], hidden[None], torch.tensor([chosen], device=logits.device)))


def _read_all(
    weights: Weights, reading: Reading, ids: Sequence[int], stopped: Event, *, hidden: bool
) -> tuple[Any, Any | None]:
    """Logits behind the last of `ids`, and the last layer's hidden state there if it is wanted."""
    for start in range(0, len(ids), PREFILL):
        out = read(weights, reading, ids[start : start + PREFILL], stopped, logits=1, hidden=hidden)
    return out.logits[0, -1].float(), out.hidden_states[-1][0, -1] if hidden else None


def read(
    weights: Weights, reading: Reading, ids: Sequence[int], stopped: Event, *, logits: int, hidden: bool = False
) -> Any:
    """One pass over `ids`, the next that `reading` has not read: logits of the last so many, hidden states of all."""
    import torch

    if stopped.is_set():
        raise Stopped
    out = weights.model(
        input_ids=torch.tensor([list(ids)], device=weights.device),
        past_key_values=reading.cache,
        use_cache=True,
        logits_to_keep=logits,
        output_hidden_states=hidden,
    )
    reading.ids += ids
    return out


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
