"""What tokens cost: dollars where a price is known, parameter-tokens where the hardware is one's own.

Money is `Decimal`: sums of many small prices stay exact. Unknown tokens have no cost (`None`), not a cost of zero;
`Price.least` and `Price.worst` bound it from both sides.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from ..backends.usage import Usage

Dollars = Annotated[Decimal, Field(ge=0, allow_inf_nan=False)]
"""Dollars per million tokens."""


class Price(BaseModel):
    """Dollars per million tokens of one model. Immutable.

    `Price(prompt="0.15", cached="0.075", completion="0.60")`; in a flow file `price: {prompt: 0.15, completion: 0.6}`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt: Dollars
    """Of prompt tokens that the server computes."""
    completion: Dollars
    """Of generated tokens, reasoning included."""
    cached: Dollars | None = None
    """Of prompt tokens that the server takes from its cache; None: as `prompt`."""
    cache_write: Dollars | None = None
    """Of prompt tokens that the server bills as written to its cache; None: as `prompt`."""

    def cost(self, usage: Usage) -> Decimal | None:
        """Dollars for one call, or None if the usage does not say enough to know."""
        if usage.prompt is None or usage.completion is None:
            return None
        if usage.cache_read is None and usage.prompt and self._cached != self.prompt:
            return None
        if usage.cache_write is None and usage.prompt and self.cache_write not in (None, self.prompt):
            return None
        read, write = usage.cache_read or 0, usage.cache_write or 0
        return self._dollars(usage.prompt - read - write, read, write, usage.completion)

    def least(self, usage: Usage) -> Decimal:
        """Dollars that a call has certainly cost, whatever its usage leaves unsaid."""
        exact = self.cost(usage)
        if exact is not None:
            return exact
        cheapest = min(self.prompt, self._cached, self._written)
        return ((usage.prompt or 0) * cheapest + (usage.completion or 0) * self.completion).scaleb(-6)

    def worst(self, prompt: int, completion: int) -> Decimal:
        """Dollars that `prompt` and `completion` tokens can cost at most, whatever a cache does."""
        return (prompt * max(self.prompt, self._cached, self._written) + completion * self.completion).scaleb(-6)

    def affords(self, dollars: Decimal, prompt: int) -> int | None:
        """Completion tokens that `dollars` certainly pay for after `prompt` tokens; negative if not even the prompt.

        None if completion tokens are free and the prompt is paid for: as many as one likes.
        """
        left = (dollars - self.worst(prompt, 0)).scaleb(6)
        if left < 0:
            return -1
        return int(left // self.completion) if self.completion else None

    @property
    def _cached(self) -> Decimal:
        return self.prompt if self.cached is None else self.cached

    @property
    def _written(self) -> Decimal:
        return self.prompt if self.cache_write is None else self.cache_write

    def _dollars(self, computed: int, read: int, write: int, completion: int) -> Decimal:
        tokens = computed * self.prompt + read * self._cached + write * self._written + completion * self.completion
        return tokens.scaleb(-6)


def passes(usage: Usage) -> int | None:
    """Tokens that went through the model: prompt tokens not in the cache, and all generated ones but the last.

    The last prompt token gives the first generated one, and nothing of the call goes on with its last. A call that goes
    on with it reads it. None if the usage does not say enough.
    """
    if usage.prompt is None or usage.completion is None or (usage.cache_read is None and usage.prompt):
        return None
    return usage.prompt - (usage.cache_read or 0) + max(usage.completion - 1, 0)


def activated(usage: Usage, parameters_billion: float) -> float | None:
    """Parameter-tokens of a call, in billions: active parameters times the tokens that went through the model.

    The measure compares models of different size without prices: an 8B model that reads 1,000 tokens and writes 100
    activates 8,792 billion. None if the usage does not say how much was computed.
    """
    tokens = passes(usage)
    return None if tokens is None else parameters_billion * tokens
