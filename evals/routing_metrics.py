"""Metrics of routers: what a policy's accuracy and tokens say beside those of the cheapest and the dearest tier."""

from __future__ import annotations

import msgspec


class Tep(msgspec.Struct, frozen=True):
    """Token Elasticity of Performance; `value` is None where there is none, and `why` says what it means."""

    value: float | None
    why: str = ""


def tep(accuracy: float, tokens: float, base_accuracy: float, base_tokens: float) -> Tep:
    """The relative gain in accuracy over the base for each relative increase of tokens (EllieSQL, arXiv 2503.22402).

    The base is the cheapest tier for everything. A quotient loses the signs of its parts, so they are said in words:
    with fewer tokens than the base a positive figure is a loss of accuracy, and a negative one a gain.
    """
    if base_accuracy <= 0 or base_tokens <= 0:
        return Tep(None, "the base is never right or spends nothing")
    gain, spent = (accuracy - base_accuracy) / base_accuracy, (tokens - base_tokens) / base_tokens
    if abs(spent) < 1e-9:
        return Tep(None, "as many tokens as the base")
    if spent < 0:
        return Tep(
            gain / spent, "fewer tokens, " + ("more right" if gain > 0 else "less right" if gain else "as right")
        )
    return Tep(gain / spent, "more tokens, less right" if gain < 0 else "")


def recovered(accuracy: float, cheapest: float, dearest: float) -> float | None:
    """The performance gap recovered: 0 as right as the cheapest tier, 1 as the dearest (RouteLLM, arXiv 2406.18665).

    None where the dearest tier is not more often right than the cheapest: there is no gap.
    """
    return None if dearest <= cheapest else (accuracy - cheapest) / (dearest - cheapest)
