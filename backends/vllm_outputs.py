"""What vLLM's engine gives out: pieces of answers, and its own running totals."""

from __future__ import annotations

from typing import Any

from .backend import Counters
from .wire import (
    Answer,
    Choice,
    LogprobEntry,
    LogprobsObject,
    PromptDetails,
    PromptLogprob,
    PromptLogprobs,
    UsageObject,
)


class Totals:
    """The totals that vLLM's engines report, summed over all that report here: a stat logger of vLLM's."""

    def __init__(self) -> None:
        self._prompt = 0
        self._cached = 0
        self._generated = 0

    def counters(self) -> Counters:
        """The totals so far."""
        return Counters(self._prompt - self._cached, self._cached, self._generated)

    def of_engine(self, config: Any, index: int) -> Totals:
        """The stat logger of one engine, as vLLM asks for it; all engines have this one."""
        return self

    def record(self, scheduler_stats: Any, iteration_stats: Any, **_: Any) -> None:
        """Add one iteration of an engine. vLLM calls this, once for each iteration of each engine."""
        if iteration_stats is not None:
            self._prompt += iteration_stats.prompt_token_stats.total
            self._cached += iteration_stats.prompt_token_stats.cached_tokens
            self._generated += iteration_stats.num_generation_tokens

    def log(self) -> None:
        """Nothing: we are asked when someone wants to know."""

    def log_engine_initialized(self) -> None:
        """Nothing."""


def chunk_of(output: Any, model: str, generated: int) -> Answer:
    """A `RequestOutput` of vLLM as the chunk that vLLM's server would send; `generated` is its running total."""
    piece = output.outputs[0]
    return Answer(
        model=model,
        choices=[
            Choice(
                text=piece.text,
                finish_reason=piece.finish_reason,
                token_ids=list(piece.token_ids),
                logprobs=_logprobs(piece),
            )
        ],
        usage=UsageObject(
            prompt_tokens=len(output.prompt_token_ids),
            completion_tokens=generated,
            prompt_tokens_details=PromptDetails(cached_tokens=output.num_cached_tokens, cache_write_tokens=0),
        ),
        prompt_token_ids=list(output.prompt_token_ids),
        prompt_logprobs=_prompt_logprobs(output),
    )


def _prompt_logprobs(output: Any) -> PromptLogprobs | None:
    if output.prompt_logprobs is None:
        return None
    return [
        None if at is None else {str(token): PromptLogprob(entry.logprob) for token, entry in at.items()}
        for at in output.prompt_logprobs
    ]


def _logprobs(piece: Any) -> LogprobsObject | None:
    if piece.logprobs is None:
        return None
    return LogprobsObject(
        content=[
            LogprobEntry(
                _text(at[chosen]),
                at[chosen].logprob,
                chosen,
                [LogprobEntry(_text(entry), entry.logprob, token) for token, entry in at.items()],
            )
            for chosen, at in zip(piece.token_ids, piece.logprobs, strict=True)
        ]
    )


def _text(entry: Any) -> str:
    return entry.decoded_token or ""
