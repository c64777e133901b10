"""A streamed answer as it grows: chunks go in, a `Completion` of what has arrived comes out at any moment."""

from __future__ import annotations

import time

from .request import Completion, FinishReason, TokenLogprob
from .usage import Usage
from .wire import Answer, finish_reason, logprobs_of, prompt_logprobs_of, usage_of


class Arrived:
    """What has arrived of one streamed answer. Only the first choice of a chunk is read: an answer has one."""

    def __init__(self, *, started: float, alternatives: int = 0) -> None:
        """`started` is when the request was sent, on the monotonic clock."""
        self.started = started
        self.usage: Usage | None = None
        """What the server last said of the usage: of the whole if the stream has ended, else of what it had sent."""
        self.first: float | None = None
        """When the first piece of the answer came, in seconds after `started`."""
        self.began = False
        """Whether anything has arrived."""
        self.finish: FinishReason = "unknown"
        """Why the answer ended, as far as the server has said."""
        self._alternatives = alternatives
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._ids: list[int] = []
        self._logprobs: list[TokenLogprob] = []
        self._prompt_ids: tuple[int, ...] | None = None
        self._prompt_logprobs: tuple[float | None, ...] | None = None
        self._model = ""

    def add(self, chunk: Answer) -> str:
        """Take in a chunk; returns the text it adds to the answer, which may be empty."""
        self.began = True
        said = usage_of(chunk)
        if said is not None:
            self.usage = said
        if chunk.model:
            self._model = chunk.model
        if chunk.prompt_token_ids is not None:
            self._prompt_ids = tuple(chunk.prompt_token_ids)
        self._prompt_logprobs = prompt_logprobs_of(chunk) or self._prompt_logprobs
        choice = next((choice for choice in chunk.choices or () if choice.index == 0), None)
        if choice is None:
            return ""
        if choice.prompt_token_ids is not None:
            self._prompt_ids = tuple(choice.prompt_token_ids)
        if choice.finish_reason is not None:
            self.finish = finish_reason(choice.finish_reason)
        if choice.token_ids:
            self._ids.extend(choice.token_ids)
        if choice.logprobs is not None:
            self._logprobs.extend(logprobs_of(choice.logprobs, self._alternatives))
        reasoning = ""
        text = choice.text or ""
        if choice.delta is not None:
            text = text or choice.delta.content or ""
            reasoning = choice.delta.reasoning_content or choice.delta.reasoning or ""
        if reasoning:
            self._reasoning.append(reasoning)
        if text:
            self._text.append(text)
        if self.first is None and (text or reasoning or choice.token_ids):
            self.first = time.monotonic() - self.started
        return text

    def completion(self, usage: Usage, *, finish: FinishReason | None = None) -> Completion:
        """What has arrived, with `usage` as its usage and `finish` in place of the server's reason, if given."""
        return Completion(
            text="".join(self._text),
            usage=usage,
            model=self._model,
            finish_reason=finish or self.finish,
            reasoning="".join(self._reasoning),
            token_ids=tuple(self._ids) or ids_of(self._logprobs),
            prompt_token_ids=self._prompt_ids,
            logprobs=tuple(self._logprobs) or None,
            prompt_logprobs=self._prompt_logprobs,
            seconds=time.monotonic() - self.started,
            first_token_seconds=self.first,
        )


def whole(answer: Answer, usage: Usage, *, started: float, alternatives: int = 0) -> Completion:
    """The `Completion` of an answer that came in one piece and has a choice."""
    choice = next((choice for choice in answer.choices or () if choice.index == 0), None)
    if choice is None:
        raise ValueError("an answer without a choice is no completion")
    message = choice.message
    text = (choice.text if message is None else message.content) or ""
    reasoning = "" if message is None else message.reasoning_content or message.reasoning or ""
    logprobs = logprobs_of(choice.logprobs, alternatives)
    prompt_ids = answer.prompt_token_ids if answer.prompt_token_ids is not None else choice.prompt_token_ids
    return Completion(
        text=text,
        usage=usage,
        model=answer.model or "",
        finish_reason=finish_reason(choice.finish_reason),
        reasoning=reasoning,
        token_ids=tuple(choice.token_ids) if choice.token_ids is not None else ids_of(logprobs),
        prompt_token_ids=tuple(prompt_ids) if prompt_ids is not None else None,
        logprobs=tuple(logprobs) or None,
        prompt_logprobs=prompt_logprobs_of(answer),
        seconds=time.monotonic() - started,
    )


def ids_of(logprobs: list[TokenLogprob]) -> tuple[int, ...] | None:
    """The token ids that logprobs carry (llama.cpp's do), or None if any lacks its own."""
    ids = [entry.id for entry in logprobs if entry.id is not None]
    return tuple(ids) if ids and len(ids) == len(logprobs) else None
