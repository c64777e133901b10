"""`by: {kind: llm, ...}`: a model names the tier in words of JSON, and how sure it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec
from pydantic import Field

from ..decider import Item, decider
from .asking import Asking

if TYPE_CHECKING:
    from ...orchestrator.context import Context


class _Answer(msgspec.Struct):
    tier: str
    confidence: float


@decider("llm")
class LLM(Asking):
    """One answer in a JSON schema: the tier, and a confidence from 0 to 1, which is the model's word and no more."""

    max_tokens: int = Field(default=48, ge=8, description="Most tokens of the answer.")

    async def decide(self, ctx: Context, item: Item) -> Mapping[str, float]:
        """The confidence for the tier that was named, at least an equal share; the others share the rest.

        All on the dearest tier if the answer cannot be used.
        """
        lines = [f"{tier}: {told}" if told != tier else tier for tier, told in self.options(item).items()]
        asked = 'Reply in JSON: {"tier": its name, "confidence": from 0 to 1}.'
        completion = await ctx.complete(
            [
                {"role": "system", "content": "\n".join([self.instruction, *lines, asked])},
                {"role": "user", "content": self.shown(item)},
            ],
            model=self.model,
            purpose="route",
            max_tokens=self.max_tokens,
            schema=_schema(item.tiers),
        )
        try:
            answer = msgspec.json.decode(completion.text.strip(), type=_Answer)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return self.dearest(ctx, item, f"the model {self.model} did not answer as asked ({completion.text[:80]!r})")
        if answer.tier not in item.tiers:
            return self.dearest(ctx, item, f"the model {self.model} named {answer.tier[:80]!r}, which is no tier")
        confidence = min(1.0, max(1 / len(item.tiers), answer.confidence))
        rest = min(confidence, (1.0 - confidence) / max(1, len(item.tiers) - 1))
        return {tier: confidence if tier == answer.tier else rest for tier in item.tiers}


def _schema(tiers: tuple[str, ...]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {
            "tier": {"type": "string", "enum": list(tiers)},
            "confidence": {"type": "number", "minimum": 0, "maximum": 1},
        },
        "required": ["tier", "confidence"],
        "additionalProperties": False,
    }
