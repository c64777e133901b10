"""The doubt of a token where all its rivals' logits are at hand."""

from __future__ import annotations

from typing import Any

from ..doubt import OF_LOGPROBS, TOP, Until, chance


def doubt(until: Until, logits: Any, position: int) -> float:
    """How doubtful the token at `position` is by the measure of `until`; `logits` are those of the vocabulary."""
    if until.measure == "random":
        return chance(until.seed, position)
    if until.measure == "aleatoric":
        return aleatoric(logits)
    return OF_LOGPROBS[until.measure](_top(logits.log_softmax(-1)).tolist())


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
