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
    ids: tuple[int, ...] | None = None
    """The token ids, where they were made to be counted."""


class Counters(msgspec.Struct, frozen=True):
    """A server's own running totals of one model, and how busy it is. What it does not publish is None."""

    computed: int
    """Prompt tokens that it computed."""
    cached: int
    """Prompt tokens that it took from its cache."""
    generated: int
    requests: int | None = None
    """Requests that it finished; one that its client broke off is none of them."""
    aborted: int | None = None
    """Those of them that the server itself broke off."""
    samples: int | None = None
    """Answers that these requests asked for: more than there are requests, if some asked for several (`n`)."""
    busy: int | None = None
    """Requests running or waiting at that moment."""

    @property
    def prompt(self) -> int:
        """All prompt tokens, cached ones included, as `usage.prompt_tokens` counts them."""
        return self.computed + self.cached

    def __add__(self, other: Counters) -> Counters:
        """Those of two servers together."""
        return Counters(
            self.computed + other.computed,
            self.cached + other.cached,
            self.generated + other.generated,
            _sum(self.requests, other.requests),
            _sum(self.aborted, other.aborted),
            _sum(self.samples, other.samples),
            _sum(self.busy, other.busy),
        )

    def since(self, before: Counters) -> Counters:
        """The difference to an earlier snapshot; `busy`, which is no total, stays what it is."""
        return Counters(
            self.computed - before.computed,
            self.cached - before.cached,
            self.generated - before.generated,
            _difference(self.requests, before.requests),
            _difference(self.aborted, before.aborted),
            _difference(self.samples, before.samples),
            self.busy,
        )


def _sum(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one + other


def _difference(after: int | None, before: int | None) -> int | None:
    return None if after is None or before is None else after - before


class ServerFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a server is and can, found out by asking it. None means that it could not be found out."""

    server: Literal["vllm", "llama.cpp", "other", "transformers", "scripted", "replay"]
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
    """Blocks that its cache has for prompts and answers."""
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
    parameters: int | None = None
    """Of the model."""
    vocabulary: str | None = None
    """What is the same for models that mean the same by token ids."""
    vocabulary_size: int | None = None
    """How many token ids the model has; they begin with 0."""
    weights: str | None = None
    """What is the same for models with the same weights and layers."""
    computes: str | None = None
    """In which numbers and on what, as in: bfloat16 on NVIDIA L4."""

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
    """Kind of backend, as in a flow file: `local`, `openai`, `vllm`, `vllm-engine`, `transformers`,
    `scripted`, `replay`."""
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
