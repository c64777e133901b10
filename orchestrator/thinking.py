"""`thinking:` of a node: how long its model thinks before it answers, between two marks. How it is done: `think.py`."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Probes(BaseModel):
    """Asking for the answer while the model still thinks, so as to stop when it has made up its mind."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    every: int = Field(ge=1, description="After how many tokens of thinking the answer is asked for, each time.")
    agree: int = Field(default=2, ge=2, description="The thinking ends when so many probes running say the same.")
    max_tokens: int = Field(default=32, ge=1, description="Most tokens of a probe.")


class Thinking(BaseModel):
    """How many tokens a model thinks, at most and at least, before it answers."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    limit: int = Field(ge=1, description="Most tokens that the model generates as its thinking; then it is cut off.")
    at_least: int = Field(default=0, ge=0, description="If it ends its thinking earlier, the model is made to go on.")
    more: str = Field(default="Wait", min_length=1, description="What it is made to go on with.")
    times: int = Field(default=2, ge=1, description="How often it is made to go on, at most.")
    probes: Probes | None = Field(default=None, description="Ask for the answer meanwhile; end when answers agree.")
    bias: float = Field(
        default=0.0,
        ge=-100,
        le=100,
        description="Added to the logit of the token that ends the thinking: above 0 it ends sooner, below later.",
    )
    open: str = Field(default="<think>", min_length=1, description="The mark that opens the thinking.")
    close: str = Field(default="</think>", min_length=1, description="The mark that ends it.")
    lead_in: str = Field(
        default="Final Answer:", description="What the answer begins with if the model did not end its thinking itself."
    )

    @model_validator(mode="after")
    def _go_together(self) -> Self:
        if self.at_least > self.limit:
            raise ValueError(f"`at_least` {self.at_least} is more than the `limit` of {self.limit} tokens")
        if self.probes is not None and self.probes.every >= self.limit:
            raise ValueError(f"`probes` every {self.probes.every} tokens come after the `limit` of {self.limit}")
        if self.open == self.close:
            raise ValueError(f"`open` and `close` are the same mark {self.open!r}")
        return self

    @property
    def only_limits(self) -> bool:
        """Whether nothing is asked for but an upper limit, between a model's own marks."""
        return self.model_copy(update={"limit": 1}) == Thinking(limit=1)
