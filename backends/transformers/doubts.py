"""The doubt of a token where the model can be looked into: its logits, its hidden state, the token's embedding."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..doubt import OF_LOGPROBS, TOP, Until, chance
from .router import load_router

if TYPE_CHECKING:
    from .weights import Weights

Doubt = Callable[[Any, Any, int, int], float]
"""(logits of the vocabulary, hidden state of the last layer, the token, its position) -> how doubtful the token is."""


def doubt_of(until: Until, weights: Weights) -> Doubt:
    """The measure that `until` names, for one model. Raises `BackendError` for a router that is not this model's."""
    if until.measure == "random":
        return lambda *seen: chance(until.seed, seen[3])
    if until.measure == "aleatoric":
        return lambda logits, *_: aleatoric(logits)
    if until.measure == "neural":
        return load_router(until.file, until.digest, weights).doubt
    measure = OF_LOGPROBS[until.measure]
    return lambda logits, *_: measure(_top(logits.log_softmax(-1)).tolist())


def aleatoric(logits: Any) -> float:
    """Aleatoric uncertainty of the likeliest tokens, their positive logits taken as evidence for each.

    AU = -sum_k a_k / a_0 * (psi(a_k + 1) - psi(a_0 + 1)), a_0 the sum of all a_k (Ma et al., 2025, arXiv 2502.00290).
    """
    import torch

    evidence = _top(logits).double().relu()
    total = evidence.sum()
    if total == 0:
        return 0.0
    return float(-(evidence / total * (torch.digamma(evidence + 1) - torch.digamma(total + 1))).sum())


def _top(values: Any) -> Any:
    return values.topk(min(TOP, values.shape[-1])).values
