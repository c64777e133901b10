"""How calls queue for a model: how many go at once, and in which order.

A server that caches prefixes block by block (vLLM) is sent the calls that wait group by group, so that what their
prompts begin with in common is computed once (`accounting.prefix_order`), and as many at once as its own queue allows
(`accounting.steering`). All others are served first come, first served, up to a fixed number.
"""

from __future__ import annotations

from typing import Literal

from ..accounting.prefix_order import PrefixSlots
from ..accounting.slots import Slots
from ..accounting.steering import Limit, Steering
from ..backends.backend import Backend
from ..backends.load import TellsLoad
from .events import LimitChanged, OnEvent
from .models import ModelSpec

Order = Literal["prefix", "arrival"]
"""`prefix`: by what prompts have in common, where that can help. `arrival`: first come, first served."""

AT_ONCE = {"local": 4, "openai": 64, "vllm": 256, "vllm-engine": 256, "transformers": 32}
"""Most calls under way at once, by kind of backend, where a model's spec does not say."""


async def queue(
    spec: ModelSpec, backend: Backend, order: Order, on_event: OnEvent | None
) -> tuple[Slots | None, Steering | None]:
    """The slots of a model, and what steers them; None where nothing limits its calls or tells how to steer."""
    most = spec.concurrency or AT_ONCE.get(spec.backend)
    if most is None:
        return None, None
    facts = await backend.facts()
    slots = Slots(most)
    if order == "prefix" and facts.caches_prefixes and facts.block is not None:
        slots = PrefixSlots(most, block=facts.block, blocks=facts.blocks)
    if facts.server != "vllm" or not isinstance(backend, TellsLoad):
        return slots, None

    def tell(chosen: Limit) -> None:
        load = chosen.load
        if on_event is not None:
            on_event(LimitChanged(backend.model, chosen.limit, load.running, load.waiting, load.cache_usage))

    return slots, Steering(slots, backend, tell)
