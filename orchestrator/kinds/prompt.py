"""`kind: prompt`: ask a model once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from pydantic import ConfigDict, Field

from ...errors import NodeError
from ..context import Context
from ..node import ModelRole, Node, kind
from ..template import Template
from ..think import ask
from ..thinking import Thinking


@kind("prompt")
class Prompt(Node):
    """Ask a model once; the value is its answer, or the parsed object if a schema is given."""

    prompt: Template = Field(description="What the model is asked.")
    system: Template | None = Field(default=None, description="The system message.")
    model: ModelRole = Field(default="large", description="The role that answers.")
    max_tokens: int | None = Field(default=None, ge=1, description="Most tokens to generate.")
    temperature: float | None = Field(default=None, ge=0)
    seed: int | None = None
    stop: Sequence[str] = Field(default=(), description="Texts at which the answer ends.")
    output_schema: dict[str, Any] | None = Field(default=None, alias="schema", description="JSON Schema of the answer.")
    thinking: Thinking | None = Field(default=None, description="Let the model think first, for so many tokens.")
    purpose: str = Field(default="answer", description="What the ledger says the call was for.")

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    async def run(self, ctx: Context) -> Any:
        """One call, and those of its thinking before it.

        Raises NodeError if a schema is given and the answer is not JSON of that schema's kind.
        """
        turns = [{"role": "user", "content": ctx.text(self.prompt)}]
        if self.system is not None:
            turns.insert(0, {"role": "system", "content": ctx.text(self.system)})
        answered = await ask(
            ctx,
            turns,
            self.thinking,
            model=self.model,
            purpose=self.purpose,
            max_tokens=self.max_tokens,
            temperature=self.temperature,
            seed=self.seed,
            stop=self.stop,
            schema=self.output_schema,
        )
        said = answered.said
        return said.text if self.output_schema is None else _parsed(said.text, said.finish_reason)


def _parsed(text: str, finish_reason: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        why = "; it was cut short, give it more max_tokens" if finish_reason == "length" else ""
        raise NodeError(f"the answer is not JSON ({error}){why}: {text[:80]!r}") from error
