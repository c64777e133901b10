"""A model without a model: answers by a function or by rules, counts with a real tokenizer, and fails on demand.

`ScriptedBackend` behaves like a server where tokens are concerned: a chat template, a block-wise prefix cache, its own
counters, `max_tokens`, stop strings, streams, cuts and cancellation. So whatever is built on a `Backend` can be tested
to the token without a model. `NoopBackend` is the least that can answer at all; overhead is measured with it.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from ..errors import BackendError, BadRequest, ContextTooLong, StreamCut
from .backend import Count, Counters, ServerFacts
from .prefix_cache import PrefixCache, salt_of
from .request import Completion, Delta, OnDelta, Request
from .scripted_turn import Reply, Turn, generate
from .usage import Usage

if TYPE_CHECKING:
    from .tokenizers import FileTokenizer

Answer: TypeAlias = str | Completion
"""The text of an answer, or the whole completion, which is then returned as it is, usage included."""
Answering: TypeAlias = Callable[[Request], Answer | Awaitable[Answer]]
Rule: TypeAlias = tuple[str, Answer | Answering]
"""A regular expression, searched in the last message, and what is answered if it is found."""


FIELDS = frozenset({"prompt_logprobs"})
"""What a scripted model knows beyond the common fields of a call."""


class Latency(msgspec.Struct, frozen=True):
    """Seconds for each prompt token that is computed (not cached) and for each generated token."""

    prompt: float = 0.0
    generated: float = 0.0

    def __call__(self, computed: int, generated: int) -> float:
        """Seconds that a call takes."""
        return self.prompt * computed + self.generated * generated


class CutStream(msgspec.Struct, frozen=True):
    """A failure for `failures`: the connection breaks after so many generated tokens."""

    after: int = 0


Failure: TypeAlias = Exception | CutStream | None


class ScriptedBackend:
    """Answers deterministically, with the token accounting of a real server.

    A prompt is counted with `tokenizer` (the shipped one if None: `tokenizers.ShippedTokenizer` has its chat template).
    An answer has the tokens of its text; no end token is added. `schema`, `temperature` and `seed` change nothing;
    `logprobs` are those of a model that is certain; `prompt_logprobs` those of one that only knows that the tokens of a
    vocabulary are ever rarer (Zipf's law), so that rare words read worse.
    """

    name = "scripted"

    def __init__(
        self,
        answer: Answer | Answering | Sequence[Rule],
        *,
        model: str = "scripted",
        tokenizer: FileTokenizer | None = None,
        block: int = 16,
        latency: Callable[[int, int], float] | None = None,
        failures: Sequence[Failure] | Callable[[int], Failure] = (),
        blocks: int | None = None,
        cache: bool = True,
        context: int = 4096,
    ) -> None:
        """Make a model of an answer.

        `answer`: a text for every request; a function (or coroutine function) of the request; or rules `(regex,
        answer)` on the last message, of which the first that is found answers (none: `BadRequest`).
        `block`: tokens of a block of the prefix cache, `blocks`: how many it has (None: enough); `cache=False` caches
        nothing.
        `latency(computed prompt tokens, generated tokens)` gives seconds; see `Latency`. None yields to other tasks
        and takes no time.
        `failures`: what calls 1, 2, ... raise (None: nothing), or a function of the call's number. A failure that may
        have spent tokens (`BackendError.spent_nothing` is false) computes the prompt first, as a server would have.
        `context`: tokens of prompt and answer together.
        """
        if tokenizer is None:
            from .tokenizers import shipped

            tokenizer = shipped()
        self.model = model
        self.context = context
        self.requests: list[Request] = []
        """Every request that came, in order; what a test looks at."""
        self._script = answer
        self._tokenizer = tokenizer
        self._prefixes = PrefixCache(block, blocks) if cache else None
        self._latency = latency
        self._failures = failures
        self._computed = self._cached = self._generated = 0

    async def complete(self, request: Request, on_delta: OnDelta | None = None) -> Completion:
        """Answer one request, token by token if `on_delta` is given. Raises what `failures` says.

        Also raises `ContextTooLong`, and `BadRequest` if no rule matches. A cancelled call carries what it had
        generated as `partial` of the `CancelledError`; unless it was streamed, how much that was is unknown.
        """
        started = time.perf_counter()
        self.requests.append(request)
        failure = self._failure(len(self.requests))
        if isinstance(failure, BackendError) and failure.spent_nothing:
            await asyncio.sleep(0)
            raise failure
        prompt = self._tokenizer.prompt_ids(request)
        asked = request.max_tokens or 1
        if len(prompt) + asked > self.context:
            raise ContextTooLong(
                f"The prompt has {len(prompt)} tokens and {asked} more are asked for, but the context of "
                f"{self.model!r} is {self.context} tokens."
            )
        answering = self._choose(request)
        turn = self._admit(request, prompt, started)
        try:
            return await self._take(turn, answering, failure, on_delta)
        except BackendError as error:
            if error.spent_nothing:
                turn.computed = turn.cached = turn.generated = 0
            elif isinstance(error, StreamCut) and on_delta is not None:
                error.partial = turn.partial(self.model, streamed=True)
            raise
        except asyncio.CancelledError as stop:
            partial = turn.partial(self.model, streamed=on_delta is not None)
            stop.partial = partial  # type: ignore[attr-defined]  # the contract of Backend: an attribute of its own
            raise
        finally:
            turn.end()
            self._computed += turn.computed
            self._cached += turn.cached
            self._generated += turn.generated

    async def count(self, request: Request) -> Count:
        """Prompt tokens of `request`, exactly what `usage` will say."""
        return self._tokenizer.count_request(request)

    async def facts(self) -> ServerFacts:
        """What a server that can do all this would say of itself."""
        return ServerFacts(
            server="scripted",
            models=(self.model,),
            context=self.context,
            tokenizes=True,
            metrics=True,
            reports_cached=True,
            chat_fields=FIELDS,
            completion_fields=FIELDS,
            caches_prefixes=self._prefixes is not None,
            block=self._prefixes.block if self._prefixes is not None else None,
            blocks=self._prefixes.blocks if self._prefixes is not None else None,
            vocabulary_size=self._tokenizer.size,
        )

    async def counters(self) -> Counters:
        """Tokens of all calls that ended, failed and aborted ones included."""
        return Counters(self._computed, self._cached, self._generated)

    async def aclose(self) -> None:
        """Nothing to release."""

    def _failure(self, number: int) -> Failure:
        if callable(self._failures):
            return self._failures(number)
        return self._failures[number - 1] if number <= len(self._failures) else None

    def _choose(self, request: Request) -> Answer | Awaitable[Answer]:
        script = self._script
        if isinstance(script, (str, Completion)):
            return script
        if callable(script):
            return script(request)
        if request.messages:
            last = request.messages[-1].content
        else:
            last = request.prompt or self._tokenizer.decode(request.prompt_token_ids or ())
        for pattern, answer in script:
            if re.search(pattern, last):
                return answer(request) if callable(answer) else answer
        raise BadRequest(f"No rule of the scripted model {self.model!r} matches the last message: {last[:80]!r}")

    def _admit(self, request: Request, prompt: list[int], started: float) -> Turn:
        running = None if self._prefixes is None else self._prefixes.begin(prompt, salt_of(request))
        cached = 0 if running is None else running.cached
        return Turn(request, prompt, len(prompt) - cached, cached, started, running)

    async def _take(
        self, turn: Turn, answering: Answer | Awaitable[Answer], failure: Failure, on_delta: OnDelta | None
    ) -> Completion:
        if isinstance(failure, Exception):
            await self._wait(turn, 0)
            raise failure
        answer = answering if isinstance(answering, (str, Completion)) else await answering
        if isinstance(answer, Completion):
            return await self._give(turn, answer, on_delta)
        request = turn.request
        most = self.context - len(turn.prompt) if request.max_tokens is None else request.max_tokens
        reply = generate(self._tokenizer, answer, most=most, stops=request.stop, streamed=on_delta is not None)
        turn.reply = reply
        first = None
        if on_delta is not None:
            first = await self._stream(turn, reply, on_delta, failure)
        else:
            await self._wait(turn, len(reply.ids))
            if failure is not None:
                raise StreamCut("The scripted connection broke before the answer came.")
            turn.generated = len(reply.ids)
        return Completion(
            text=reply.text,
            usage=turn.usage(),
            model=self.model,
            finish_reason=reply.finish,
            token_ids=tuple(reply.ids),
            prompt_token_ids=tuple(turn.prompt),
            logprobs=None if request.logprobs is None else reply.logprobs(self._tokenizer, request.logprobs),
            prompt_logprobs=turn.prompt_logprobs() if request.prompt_logprobs else None,
            seconds=time.perf_counter() - turn.started,
            first_token_seconds=first,
        )

    async def _give(self, turn: Turn, answer: Completion, on_delta: OnDelta | None) -> Completion:
        """A completion that the script made itself; what it says it used is what this server counts."""
        turn.cached = answer.usage.cache_read or 0
        turn.computed = (answer.usage.prompt or 0) - turn.cached
        turn.generated = answer.usage.completion or 0
        await self._wait(turn, turn.generated)
        if on_delta is not None:
            on_delta(Delta(answer.text))
        return answer

    async def _wait(self, turn: Turn, generated: int) -> None:
        await asyncio.sleep(self._latency(turn.computed, generated) if self._latency else 0)

    async def _stream(self, turn: Turn, reply: Reply, on_delta: OnDelta, failure: Failure) -> float | None:
        """Show the reply token by token; returns the seconds to the first one."""
        first = None
        step = 0.0
        if self._latency is not None and reply.ids:
            generating = self._latency(turn.computed, len(reply.ids)) - self._latency(turn.computed, 0)
            step = generating / len(reply.ids)
        await self._wait(turn, 0)
        for piece in reply.pieces:
            if isinstance(failure, CutStream) and turn.generated >= failure.after:
                break
            await asyncio.sleep(step)
            turn.generated += 1
            first = first or time.perf_counter() - turn.started
            if piece:
                on_delta(Delta(piece))
        if isinstance(failure, CutStream):
            raise StreamCut(f"The scripted connection broke after {turn.generated} tokens of the answer.")
        return first


class NoopBackend:
    """Gives the same completion at once, for a few microseconds: measures what everything around a model costs."""

    name = "scripted"

    def __init__(self, text: str = "ok", *, model: str = "noop", usage: Usage = Usage(8, 1, 0, 0, 0)) -> None:  # noqa: B008  # immutable
        self.model = model
        self.calls = 0
        self._completion = Completion(text=text, usage=usage, model=model, finish_reason="stop")
        self._delta = Delta(text)
        self._count = Count(usage.prompt or 0)

    async def complete(self, request: Request, on_delta: OnDelta | None = None) -> Completion:
        """The same completion for every request."""
        self.calls += 1
        await asyncio.sleep(0)
        if on_delta is not None:
            on_delta(self._delta)
        return self._completion

    async def count(self, request: Request) -> Count:
        """The same count for every request."""
        return self._count

    async def facts(self) -> ServerFacts:
        """Next to nothing."""
        return ServerFacts(server="scripted", models=(self.model,), metrics=True, reports_cached=True)

    async def counters(self) -> Counters:
        """The fixed usage, times the calls."""
        usage = self._completion.usage
        cached = usage.cache_read or 0
        prompt = (usage.prompt or 0) - cached
        return Counters(prompt * self.calls, cached * self.calls, (usage.completion or 0) * self.calls)

    async def aclose(self) -> None:
        """Nothing to release."""
