"""Doubt: how unsure a model was of a token that it chose. A greater doubt is always a more doubtful token.

A call that carries `extra={"until": {...}}` ends before the first token whose doubt is above a threshold; what that
says is an `Until`. Measures that need only the likeliest tokens stand here and serve every backend that reports
logprobs; those that need the model itself stand beside it (`transformers/doubts.py`).

Entropy and aleatoric uncertainty after R2R (arXiv 2505.21600), which takes the 100 likeliest tokens.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from typing import Any, Literal, get_args

import msgspec

from ..errors import BadRequest

Measure = Literal["entropy", "margin", "aleatoric", "random", "neural"]
TOP = 100
"""How many of the likeliest tokens a measure looks at, where there are so many."""


class RouterFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The network that the measure `neural` asks (`laconic.backends.token_router`)."""

    file: str
    digest: str
    """Hash of the whole file, so that equal requests mean the same network."""


class Until(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Before which token a call is to end: `Request.extra["until"]`, as plain data."""

    measure: Measure
    above: float
    """A token with more doubt than this ends the call, and is not part of its answer."""
    seed: int = 0
    """What the measure `random` draws from."""
    router: RouterFile | None = None
    """What the measure `neural` asks, and no other."""

    def written(self) -> dict[str, Any]:
        """As `Request.extra["until"]` holds it."""
        return dict(msgspec.to_builtins(self))


def read_until(written: Any) -> Until:
    """The `until` of a request. Raises `BadRequest` for one that is not well formed."""
    try:
        until = msgspec.convert(written, Until)
    except msgspec.ValidationError as error:
        raise BadRequest(f"`until` cannot be used: {error}; its measures are {', '.join(get_args(Measure))}") from error
    if (until.measure == "neural") != (until.router is not None):
        raise BadRequest("`until` has a `router` with the measure neural, and with no other")
    return until


def entropy(logprobs: Sequence[float]) -> float:
    """Entropy of the likeliest tokens, in nats, as if there were no others; 0 if there is but one."""
    weights = _weights(logprobs)
    return max(0.0, -sum(weight * math.log(weight) for weight in weights if weight > 0))


def margin(logprobs: Sequence[float]) -> float:
    """1 less the distance of the two likeliest tokens' probabilities: 0 for a sure choice, 1 between equals."""
    first, second = (
        sorted((math.exp(logprob) for logprob in logprobs), reverse=True)[:2] if len(logprobs) > 1 else (1, 0)
    )
    return 1 - (first - second)


OF_LOGPROBS: Mapping[str, Callable[[Sequence[float]], float]] = {"entropy": entropy, "margin": margin}
"""The measures for which the likeliest tokens' log probabilities are enough."""


def chance(seed: int, position: int) -> float:
    """The doubt of the measure `random`: evenly spread over 0 to 1, always the same at one position."""
    drawn = blake2b(f"{seed}/{position}".encode(), digest_size=8).digest()
    return int.from_bytes(drawn, "big") / 2**64


def _weights(logprobs: Sequence[float]) -> list[float]:
    highest = max(logprobs, default=0.0)
    raw = [math.exp(logprob - highest) for logprob in logprobs]
    total = sum(raw)
    return [weight / total for weight in raw]
