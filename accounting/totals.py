"""Sums over calls that keep facts, lower bounds and estimates apart.

A usage field that a call's server did not report is unknown, not zero: the sum is then a lower bound, `Total.unknown`
says in how many calls, and `Total.show` writes `≥ 1,234`. Physical tokens (really computed or read from a cache) and
virtual tokens (as if no answer had been reused) stand side by side.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from .call import Call

if TYPE_CHECKING:
    from .prices import Price

PARTS = {
    "total": ("prompt", "completion"),
    "virtual_prompt": ("prompt", "avoided_prompt"),
    "virtual_completion": ("completion", "avoided_completion"),
    "virtual_total": ("prompt", "completion", "avoided_prompt", "avoided_completion"),
}
"""The summed fields that each derived figure adds up."""

TOKENS = (
    "prompt",
    "completion",
    "cache_read",
    "cache_write",
    "reasoning",
    "uncached",
    "avoided_prompt",
    "avoided_completion",
)
"""The summed fields that are tokens."""


class Total(msgspec.Struct, frozen=True, kw_only=True):
    """What a set of calls used. Totals add up: `Total.of(a) + Total.of(b) == Total.of(a + b)`; `Total()` is nothing."""

    calls: int = 0
    """Entries in the ledger, replayed ones included."""
    replayed: int = 0
    """Those of them that were not sent, because the answer was there already."""
    prompt: int = 0
    completion: int = 0
    cache_read: int = 0
    cache_write: int = 0
    reasoning: int = 0
    uncached: int = 0
    """Prompt tokens computed and not billed as a cache write, over the calls whose server told."""
    avoided_prompt: int = 0
    """Prompt tokens that replayed calls would have used."""
    avoided_completion: int = 0
    seconds: float = 0.0
    """Time spent in calls; calls that ran side by side count side by side."""
    cost: Decimal = Decimal(0)
    """Dollars, over the calls whose model has a price."""
    unknown: dict[str, int] = msgspec.field(default_factory=dict)
    """Field -> the number of calls in which it is unknown; fields that are known throughout are not in it."""
    counted: int = 0
    """Calls whose tokens our own tokenizer counted, because the server had not reported them."""
    estimated: int = 0
    """Calls whose tokens could only be estimated."""

    @classmethod
    def of(cls, calls: Iterable[Call], prices: Mapping[str, Price] | None = None, *, virtual: bool = False) -> Total:
        """Sum `calls`. `prices` gives the price by a call's role in the flow or, failing that, by the model's name.

        `virtual` sums as if no answer had been reused: replayed calls count as sent, with the tokens they avoided.
        """
        number = replayed = counted = estimated = 0
        prompt = completion = cache_read = cache_write = reasoning = uncached = avoided_prompt = avoided_completion = 0
        no_prompt = no_completion = no_read = no_write = no_reasoning = no_uncached = no_cost = 0
        no_avoided_prompt = no_avoided_completion = 0
        seconds, cost = 0.0, Decimal(0)
        for call in calls:
            number += 1
            seconds += call.seconds
            usage, avoided = call.usage, call.avoided
            if virtual and avoided is not None:
                usage, avoided = avoided, None
            elif not call.sent:
                replayed += 1
            if usage.prompt is None:
                no_prompt += 1
            else:
                prompt += usage.prompt
            if usage.completion is None:
                no_completion += 1
            else:
                completion += usage.completion
            if usage.cache_read is None:
                no_read += 1
                no_uncached += 1
            else:
                cache_read += usage.cache_read
                if usage.prompt is None:
                    no_uncached += 1
                else:
                    uncached += usage.prompt - usage.cache_read - (usage.cache_write or 0)
            if usage.cache_write is None:
                no_write += 1
            else:
                cache_write += usage.cache_write
            if usage.reasoning is None:
                no_reasoning += 1
            else:
                reasoning += usage.reasoning
            if usage.source != "server" and (usage.prompt or usage.completion):
                if usage.source == "counted":
                    counted += 1
                else:
                    estimated += 1
            if avoided is not None:
                if avoided.prompt is None:
                    no_avoided_prompt += 1
                else:
                    avoided_prompt += avoided.prompt
                if avoided.completion is None:
                    no_avoided_completion += 1
                else:
                    avoided_completion += avoided.completion
            if usage.prompt != 0 or usage.completion != 0:
                price = None if prices is None else prices.get(call.model) or prices.get(call.served)
                exact = None if price is None else price.cost(usage)
                if exact is not None:
                    cost += exact
                else:
                    no_cost += 1
                    if price is not None:
                        cost += price.least(usage)
        unknown = {
            "prompt": no_prompt,
            "completion": no_completion,
            "cache_read": no_read,
            "cache_write": no_write,
            "reasoning": no_reasoning,
            "uncached": no_uncached,
            "avoided_prompt": no_avoided_prompt,
            "avoided_completion": no_avoided_completion,
            "cost": no_cost,
        }
        return cls(
            calls=number,
            replayed=replayed,
            prompt=prompt,
            completion=completion,
            cache_read=cache_read,
            cache_write=cache_write,
            reasoning=reasoning,
            uncached=uncached,
            avoided_prompt=avoided_prompt,
            avoided_completion=avoided_completion,
            seconds=seconds,
            cost=cost,
            unknown={field: calls for field, calls in unknown.items() if calls},
            counted=counted,
            estimated=estimated,
        )

    def __add__(self, other: Total) -> Total:
        fields: dict[str, object] = {name: getattr(self, name) + getattr(other, name) for name in _SUMMED}
        names = self.unknown.keys() | other.unknown.keys()
        fields["unknown"] = {name: self.unknown.get(name, 0) + other.unknown.get(name, 0) for name in names}
        return msgspec.structs.replace(self, **fields)

    @property
    def sent(self) -> int:
        """Calls that were sent to a model."""
        return self.calls - self.replayed

    @property
    def total(self) -> int:
        """Prompt and completion tokens together."""
        return self.prompt + self.completion

    @property
    def virtual_prompt(self) -> int:
        """Prompt tokens as if no answer had been reused."""
        return self.prompt + self.avoided_prompt

    @property
    def virtual_completion(self) -> int:
        """Generated tokens as if no answer had been reused."""
        return self.completion + self.avoided_completion

    @property
    def virtual_total(self) -> int:
        """All tokens as if no answer had been reused."""
        return self.virtual_prompt + self.virtual_completion

    def at_least(self, field: str) -> bool:
        """Whether `field`, summed or derived, is only a lower bound because a call did not say."""
        return any(part in self.unknown for part in PARTS.get(field, (field,)))

    def show(self, field: str) -> str:
        """`field` for people: `1,234`; `≥ 1,234` for a lower bound; `≈ 1,234` if some of it is estimated.

        `unknown` if no call said anything of it. Dollars look like `$0.0012`, seconds like `1.5 s`.
        """
        value = getattr(self, field)
        if field == "seconds":
            return f"{value:,.1f} s"
        figure = f"${value:,.6f}" if field == "cost" else f"{value:,}"
        rough = bool(self.estimated) and (field in TOKENS or field in PARTS or field == "cost")
        if not self.at_least(field):
            return f"≈ {figure}" if rough else figure
        if not value:
            return "unknown"
        return f"≳ {figure}" if rough else f"≥ {figure}"


_SUMMED = tuple(name for name in Total.__struct_fields__ if name != "unknown")
