"""The two sides of a model call: `Request` goes in, `Completion` comes out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import msgspec

from .usage import Usage

Role = Literal["system", "user", "assistant", "tool"]


class Message(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One turn of a chat. `name` keeps a turn's sender apart from its text."""

    role: Role
    content: str
    name: str | None = None


ADDED = "add_special_tokens"
"""Field of `extra` that says, if it is false, that a text is no prompt: nothing is added to it."""
MARKS = "parse_special"
"""Field of `extra` that says, if it is false, that a text is only text, whatever special tokens are called like it."""


class Request(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Everything that determines what a model answers. Equal requests are the same call.

    Exactly one of `messages` (a chat), `prompt` (raw text) and `prompt_token_ids` is given.
    """

    model: str
    """The name the server knows the model by."""
    messages: tuple[Message, ...] | None = None
    prompt: str | None = None
    prompt_token_ids: tuple[int, ...] | None = None
    max_tokens: int | None = None
    """Most tokens to generate; None leaves it to the server."""
    temperature: float = 0.0
    top_p: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    schema: dict[str, Any] | None = None
    """A JSON Schema the answer must satisfy."""
    logprobs: int | None = None
    """How many alternatives to report for each generated token; None for no logprobs."""
    prompt_logprobs: bool = False
    """Whether to report how likely each token of the prompt was. Such a call is not streamed."""
    extra: dict[str, Any] = msgspec.field(default_factory=dict)
    """Sent to the server as it is: what a server offers beyond the common fields."""
    sample: int = 0
    """Which draw this is; sets votes and retries of the same request apart. Not sent to the server."""

    @property
    def deterministic(self) -> bool:
        """Whether the same request is meant to give the same answer."""
        return self.temperature == 0.0 or self.seed is not None


class TokenLogprob(msgspec.Struct, frozen=True, omit_defaults=True):
    """One generated token, its natural-log probability, and the alternatives the server reported, likeliest first."""

    token: str
    logprob: float
    id: int | None = None
    top: tuple[tuple[str, float], ...] = ()
    raw: bytes = b""
    """The token's bytes, where the server told them and `token` is not their text: a part of a character."""


FinishReason = Literal["stop", "length", "tool_calls", "content_filter", "cut", "unknown"]


class Completion(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What came back. Times are seconds on a monotonic clock."""

    text: str
    usage: Usage
    model: str = ""
    finish_reason: FinishReason = "unknown"
    reasoning: str = ""
    """The text a server reports as reasoning, apart from `text`."""
    token_ids: tuple[int, ...] | None = None
    """The generated token ids, where the server returns them."""
    prompt_token_ids: tuple[int, ...] | None = None
    logprobs: tuple[TokenLogprob, ...] | None = None
    prompt_logprobs: tuple[float | None, ...] | None = None
    """The natural-log probability of each token of the prompt after those before it; None for the first."""
    seconds: float = 0.0
    first_token_seconds: float | None = None
    """Time to the first token; known for streams only."""


class Delta(msgspec.Struct, frozen=True):
    """A piece of a streamed answer."""

    text: str


OnDelta = Callable[[Delta], None]
"""Called for every piece of a stream, in order. Passing one asks the backend to stream."""
