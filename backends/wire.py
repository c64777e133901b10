"""The JSON of the OpenAI protocol: what is sent for a `Request`, and what an answer means.

Both protocols are spoken: chat (`/chat/completions`, for `messages`) and completions (`/completions`, for `prompt` and
`prompt_token_ids`). A body holds what the request asks for and nothing else, with these exceptions, each for the
ledger's sake: a stream asks for its usage, and, from the servers known to have it, for running totals, so that a stream
that breaks off is still counted exactly (`continuous_usage_stats` of vLLM, `timings_per_token` of llama.cpp).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from ..errors import BadRequest, MalformedAnswer
from .request import FinishReason, Request, TokenLogprob
from .usage import Usage


class PromptDetails(msgspec.Struct):
    """What became of the prompt tokens. vLLM says `created_cache_tokens` where OpenAI says `cache_write_tokens`."""

    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    created_cache_tokens: int | None = None


class CompletionDetails(msgspec.Struct):
    """What the generated tokens were."""

    reasoning_tokens: int | None = None


class UsageObject(msgspec.Struct):
    """The `usage` of an answer or of a stream's last chunk."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: PromptDetails | None = None
    completion_tokens_details: CompletionDetails | None = None

    def usage(self) -> Usage:
        """The same as our `Usage`; what the server did not say is None."""
        prompt, completion = self.prompt_tokens_details, self.completion_tokens_details
        written = None
        if prompt is not None:
            written = prompt.cache_write_tokens
            if written is None:
                written = prompt.created_cache_tokens
        return Usage(
            prompt=self.prompt_tokens,
            completion=self.completion_tokens,
            cache_read=prompt.cached_tokens if prompt is not None else None,
            cache_write=written,
            reasoning=completion.reasoning_tokens if completion is not None else None,
        )


class Timings(msgspec.Struct):
    """The running totals of llama.cpp: prompt tokens reused and computed, tokens generated."""

    cache_n: int = 0
    prompt_n: int = 0
    predicted_n: int = 0


class LogprobEntry(msgspec.Struct):
    """A token with its natural-log probability; `top_logprobs` are its alternatives."""

    token: str
    logprob: float
    id: int | None = None
    top_logprobs: list[LogprobEntry] | None = None
    raw: list[int] | None = msgspec.field(default=None, name="bytes")

    def itself(self) -> LogprobEntry:
        """The token by its own text. In a stream of llama.cpp `token` is the text that was sent with it, which leaves
        out what may belong to a stop string; its own text stands with the alternatives, if it is one of them.
        """
        return next((top for top in self.top_logprobs or () if self.id is not None and top.id == self.id), self)

    def part(self) -> bytes:
        """The token's bytes, if they are told and are not those of its text."""
        told = bytes(self.raw or ())
        return b"" if told == self.token.encode() else told


class LogprobsObject(msgspec.Struct):
    """Logprobs in either shape: `content` (chat, and llama.cpp always), or the parallel lists of completions."""

    content: list[LogprobEntry] | None = None
    tokens: list[str] | None = None
    token_logprobs: list[float | None] | None = None
    top_logprobs: list[dict[str, float] | None] | None = None


class PromptLogprob(msgspec.Struct):
    """What vLLM says of one token at one place of a prompt."""

    logprob: float


PromptLogprobs = list[dict[str, PromptLogprob] | None]
"""For each token of a prompt, by token id, what vLLM says of it and then of alternatives; null for the first."""


class MessageObject(msgspec.Struct):
    """The message of an answer, or the delta of a chunk. vLLM says `reasoning` where others say `reasoning_content`."""

    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None


class Choice(msgspec.Struct):
    """One answer of a response, or one piece of a stream."""

    index: int = 0
    message: MessageObject | None = None
    delta: MessageObject | None = None
    text: str | None = None
    finish_reason: str | None = None
    logprobs: LogprobsObject | None = None
    token_ids: list[int] | None = None
    prompt_token_ids: list[int] | None = None
    prompt_logprobs: PromptLogprobs | None = None


class Answer(msgspec.Struct):
    """A response, or a chunk of a stream, of either protocol."""

    choices: list[Choice] | None = None
    usage: UsageObject | None = None
    timings: Timings | None = None
    model: str | None = None
    prompt_token_ids: list[int] | None = None
    prompt_logprobs: PromptLogprobs | None = None
    """vLLM has them here for a chat, and in the choice otherwise."""
    error: Any = None


_answers = msgspec.json.Decoder(Answer)
_encoder = msgspec.json.Encoder()

_FINISH: dict[str | None, FinishReason] = {
    "stop": "stop",
    "eos": "stop",
    "eos_token": "stop",
    "stop_sequence": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
    "abort": "cut",
    "error": "cut",
}


_SEVERAL = {"n": 1, "best_of": 1, "use_beam_search": False}
"""Fields that ask for several answers, and the value with which they do not."""


def fields(request: Request, *, server: str = "other", stream: bool = False) -> dict[str, Any]:
    """The body for `request` as a dictionary. `server` is a `ServerFacts.server`; `extra` is merged in as it is.

    Raises `BadRequest` if `extra` asks for several answers: only one is read, and the tokens of the others would have
    no owner.
    """
    body: dict[str, Any] = {"model": request.model}
    chat = request.messages is not None
    if chat:
        body["messages"] = request.messages
    elif request.prompt_token_ids is not None:
        body["prompt"] = request.prompt_token_ids
    else:
        body["prompt"] = request.prompt
    if request.max_tokens is not None:
        body["max_tokens"] = request.max_tokens
    body["temperature"] = request.temperature
    if request.top_p is not None:
        body["top_p"] = request.top_p
    if request.seed is not None:
        body["seed"] = request.seed
    if request.stop:
        body["stop"] = request.stop
    if request.logprobs is not None:
        # At least one alternative: llama.cpp takes 0 for "no logprobs at all". What was not asked for is dropped again.
        alternatives = max(1, request.logprobs)
        body.update({"logprobs": True, "top_logprobs": alternatives} if chat else {"logprobs": alternatives})
    if request.prompt_logprobs:
        body["prompt_logprobs"] = 0  # that of the prompt's own tokens, and of no alternatives
    if request.schema is not None:
        if server == "llama.cpp" and not chat:
            body["json_schema"] = request.schema  # llama.cpp ignores `response_format` in this protocol, silently
        else:
            schema = {"name": "answer", "schema": request.schema, "strict": True}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
    if request.extra:
        _merge_extra(body, request)
    if stream:
        body["stream"] = True
        body["stream_options"] = {**body.get("stream_options", {}), "include_usage": True}
        if server == "vllm":
            body["stream_options"]["continuous_usage_stats"] = True
        elif server == "llama.cpp":
            body["timings_per_token"] = True
    return body


def _merge_extra(body: dict[str, Any], request: Request) -> None:
    for field, single in _SEVERAL.items():
        if request.extra.get(field) not in (None, single):
            raise BadRequest(
                f"`extra` asks {request.model!r} for several answers with `{field}`, and a call has one. "
                "Make a call for each, told apart by `sample`."
            )
    body.update(request.extra)
    body.pop("stream", None)  # whether to stream is said by passing `on_delta`
    ceiling = request.extra.get("max_completion_tokens")
    if ceiling is not None and request.max_tokens is not None:
        # OpenAI's newer name of the same limit. A budget may have made `max_tokens` the smaller one: it stays a wall.
        del body["max_tokens"]
        body["max_completion_tokens"] = min(ceiling, request.max_tokens)


def encode(body: dict[str, Any]) -> bytes:
    """A body as JSON."""
    return _encoder.encode(body)


def decode(data: bytes, url: str) -> Answer:
    """An answer from its JSON; raises `MalformedAnswer` if it is none."""
    try:
        return _answers.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        shown = data[:200].decode(errors="replace")
        raise MalformedAnswer(
            f"{url} answered with something that is not an OpenAI-compatible answer ({error}): {shown!r}. "
            "Check that the url is that of the API (it usually ends in /v1)."
        ) from error


def usage_of(answer: Answer) -> Usage | None:
    """The usage an answer or chunk reports, or llama.cpp's running totals; None if neither is there."""
    if answer.usage is not None and answer.usage.prompt_tokens is not None:
        return answer.usage.usage()
    if answer.timings is not None and answer.timings.predicted_n:
        timings = answer.timings
        return Usage(timings.cache_n + timings.prompt_n, timings.predicted_n, timings.cache_n)
    return None


def finish_reason(text: str | None) -> FinishReason:
    """The protocol's finish reason as ours; what is not known is `unknown`."""
    return _FINISH.get(text, "unknown")


def logprobs_of(found: LogprobsObject | None, alternatives: int) -> list[TokenLogprob]:
    """Logprobs of either shape as ours, with at most `alternatives` alternatives a token, likeliest first."""
    if found is None:
        return []
    if found.content is not None:
        return [
            TokenLogprob(
                entry.itself().token,
                entry.logprob,
                entry.id,
                _likeliest(((top.token, top.logprob) for top in entry.top_logprobs or ()), alternatives),
                entry.itself().part(),
            )
            for entry in found.content
        ]
    tokens, values, tops = found.tokens or [], found.token_logprobs or [], found.top_logprobs or []
    return [
        TokenLogprob(
            token,
            value if value is not None else 0.0,  # only an echoed prompt's first token has none: it was given
            None,
            _likeliest((tops[i] or {}).items() if i < len(tops) else (), alternatives),
        )
        for i, (token, value) in enumerate(zip(tokens, values, strict=False))
    ]


def prompt_logprobs_of(answer: Answer) -> tuple[float | None, ...] | None:
    """What an answer says of the tokens of its prompt, one value each; None if it says nothing."""
    found = answer.prompt_logprobs or next((c.prompt_logprobs for c in answer.choices or () if c.index == 0), None)
    if found is None:
        return None
    return tuple(next(iter(entries.values())).logprob if entries else None for entries in found)


def _likeliest(pairs: Iterable[tuple[str, float]], alternatives: int) -> tuple[tuple[str, float], ...]:
    if alternatives <= 0:
        return ()
    return tuple(sorted(pairs, key=lambda pair: -pair[1])[:alternatives])
