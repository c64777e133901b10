"""Features: what a model thinks at each place of a text that another has written, in one pass over it.

A call whose `Request.extra` holds `features` reads its prompt, generates nothing, and leaves the features in a file;
what it says is a `Features`.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Sequence
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

import msgspec

from ...errors import BackendError, BadRequest
from ..doubt import TOP
from .decoding import PREFILL, one_pass
from .passes import Seen, Wanted

if TYPE_CHECKING:
    from .caches import Reading
    from .weights import Weights

LARGEST = 65504.0
"""Of a float16, in which hidden states and embeddings are kept."""


class Features(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which features are wanted, and where: `Request.extra["features"]`, as plain data."""

    file: str
    """A safetensors file that is written."""
    start: int
    """The first token of the prompt, counted from 0, about which features are wanted; then come those about the
    following ones, and about the one behind the prompt."""


def read_features(written: Any, prompt: int) -> Features:
    """The `features` of a request whose prompt has so many tokens. Raises `BadRequest` if it is not well formed."""
    try:
        wanted = msgspec.convert(written, Features)
    except msgspec.ValidationError as error:
        raise BadRequest(f"`features` cannot be used: {error}") from error
    if not 0 < wanted.start <= prompt:
        raise BadRequest(f"`features` start at a token from 1 to {prompt} of this prompt, not {wanted.start}")
    return wanted


def features(
    weights: Weights, reading: Reading, ids: Sequence[int], start: int, stopped: Event
) -> Generator[Wanted, Seen, dict[str, Any]]:
    """What the model thinks about each token of `ids` from `start` on, and about the next, before it sees it.

    For each of n tokens: `logits` [n, 100], the likeliest; `total` [n], the logarithm of the sum of all exponentials;
    `hidden` [n, hidden], the last layer's; `token` [n], the likeliest; `embedding` [n, hidden], that token's. `reading`
    is a new one. Raises Stopped once `stopped` is set, between two passes.
    """
    import torch

    parts: list[dict[str, Any]] = []
    embeddings = weights.model.get_input_embeddings()
    for begin in range(0, len(ids), PREFILL):
        piece = ids[begin : begin + PREFILL]
        unasked = min(len(piece), max(0, start - 1 - begin))
        seen = yield from one_pass(Wanted(reading, piece, every=True, hidden=True), stopped)
        logits = seen.logits[unasked:]
        likeliest = logits.topk(TOP)
        token = likeliest.indices[:, 0]
        parts.append(
            {
                "logits": likeliest.values.cpu().contiguous(),  # half as exact, chances would be 1 % off
                "total": logits.logsumexp(-1).cpu(),
                "hidden": _half(seen.hidden[unasked:]),
                "token": token.int().cpu(),
                "embedding": _half(embeddings.weight[token]),
            }
        )
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def save_features(path: Path, found: dict[str, Any], ends: Collection[int]) -> None:
    """Write features, and which tokens end an answer. Raises `BackendError` if the file cannot be written."""
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file({**found, "ends": torch.tensor(sorted(ends), dtype=torch.int32)}, path)
    except (OSError, SafetensorError) as error:
        raise BackendError(f"the features cannot be written to {str(path)!r}: {error}") from error


def _half(values: Any) -> Any:
    return values.float().clamp(-LARGEST, LARGEST).half().cpu().contiguous()
