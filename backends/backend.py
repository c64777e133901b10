"""The one seam between Laconic and whatever answers: `Backend`."""

from __future__ import annotations

from typing import Literal, Protocol, runtime_checkable

import msgspec

from .request import Completion, OnDelta, Request
from .usage import Source


class Count(msgspec.Struct, frozen=True):
    """Prompt tokens of a request before it is sent. `source` is `counted` (exact) or `estimated` (an upper bound)."""

    tokens: int
    source: Source = "counted"


class Counters(msgspec.Struct, frozen=True):
    """A server's own running totals, in tokens: what it computed, what it took from its cache, what it generated."""

    computed: int
    cached: int
    generated: int

    @property
    def prompt(self) -> int:
        """All prompt tokens, cached ones included, as `usage.prompt_tokens` counts them."""
        return self.computed + self.cached

    def since(self, before: Counters) -> Counters:
        """The difference to an earlier snapshot."""
        return Counters(self.computed - before.computed, self.cached - before.cached, self.generated - before.generated)


class ServerFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a server is and can, found out by asking it. None means that it could not be found out."""

    server: Literal["vllm", "llama.cpp", "other", "scripted", "replay"]
    version: str | None = None
    models: tuple[str, ...] = ()
    context: int | None = None
    """Longest prompt and answer together, in tokens, of one request."""
    tokenizes: bool = False
    """Whether the server counts a prompt exactly (`/tokenize`)."""
    metrics: bool = False
    """Whether the server publishes its own token counters."""
    reports_cached: bool | None = None
    """Whether `usage` says how many prompt tokens came from the cache."""
    caches_prefixes: bool | None = None
    """Whether what two prompts begin with in common is computed once."""
    block: int | None = None
    """Tokens of a block of its prefix cache: only whole blocks are shared."""
    blocks: int | None = None
    """Blocks that its cache holds."""
    chat_fields: frozenset[str] | None = None
    """Fields of a chat call that the server knows; vLLM accepts any other and ignores it."""
    completion_fields: frozenset[str] | None = None
    """The same for a completions call."""
    most_logprobs: int | None = None
    """Most alternatives a token that the server reports."""
    limits_thinking: bool | None = None
    """Whether the server honours `thinking_token_budget`."""
    schedules_priorities: bool | None = None
    """Whether the server honours `priority`."""
    root: str | None = None
    """Where the server has the model from: its folder or hub name."""

    def knows(self, field: str, *, chat: bool = True) -> bool | None:
        """Whether the server knows a field of a request; None if it does not tell."""
        fields = self.chat_fields if chat else self.completion_fields
        return None if fields is None else field in fields


@runtime_checkable
class Backend(Protocol):
    """Talks to one model. Implementations count nothing themselves: the meter is the only caller.

    Errors: `errors.BackendError` and its branches; a cancelled `complete` aborts the request on the server, and raises
    `asyncio.CancelledError` whose `partial` attribute, if set, is the `Completion` that had arrived.
    """

    name: str
    """Kind of backend, as in a flow file: `local`, `openai`, `vllm`, `vllm-engine`, `scripted`, `replay`."""
    model: str
    """The model name that requests should carry."""

    async def complete(self, request: Request, on_delta: OnDelta | None = None) -> Completion:
        """Answer one request; streams if `on_delta` is given."""
        ...

    async def count(self, request: Request) -> Count:
        """Prompt tokens of `request`; raises `TokenizerUnavailable` if they cannot be counted nor may be estimated."""
        ...

    async def facts(self) -> ServerFacts:
        """What the server is and can; asked once and remembered."""
        ...

    async def counters(self) -> Counters | None:
        """The server's own totals for this model, or None if it publishes none."""
        ...

    async def aclose(self) -> None:
        """Release connections, processes and memory."""
        ...
