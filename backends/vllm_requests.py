"""Reading a `Request` as vLLM's own server would, for the engine in this process.

The body that would be sent over HTTP is handed to the code of vLLM's server: the same checks, the model's chat
template, the defaults of its generation configuration. Fields of `extra` that only shape a server's answer, or that
nobody would honour here, are refused.
"""

from __future__ import annotations

from typing import Any

import msgspec

from ..errors import BackendError, BadRequest, ContextTooLong, RateLimited, ServerFailure
from . import failures, wire
from .backend import ServerFacts
from .counting import VLLM_TEMPLATE_FIELDS
from .request import Request
from .vllm_loading import Settings

_OF_A_CALL = {
    "cache_salt",
    "max_completion_tokens",
    "priority",
    "response_format",
    "return_token_ids",
    "structured_outputs",
    "tool_choice",
    "top_logprobs",
    "truncate_prompt_tokens",
    "truncation_side",
    "vllm_xargs",
}
"""Fields of a server's call that are honoured here, besides those of the prompt and of `SamplingParams`."""
_NO_PLACE = {"n", "prompt_logprob_start", "prompt_logprob_token_ids", "stream_interval"}
"""Sampling parameters whose effect a `Completion` has no place for."""


class Call(msgspec.Struct, frozen=True):
    """A request in the engine's own terms."""

    prompt: Any
    """vLLM's rendered input, with the token ids."""
    sampling: Any
    """vLLM's `SamplingParams`."""
    priority: int


class Reader:
    """Turns requests into calls of one engine, and what vLLM raises into our errors."""

    def __init__(self, engine: Any, settings: Settings) -> None:
        """Raises `BackendError` if the installed vLLM is not built as this class needs it."""
        import vllm

        try:
            from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest
            from vllm.entrypoints.openai.completion.protocol import CompletionRequest
            from vllm.entrypoints.serve.utils.api_utils import get_max_tokens
            from vllm.renderers.online_renderer import OnlineRenderer
            from vllm.sampling_params import SamplingParams
        except ImportError as error:
            raise BackendError(
                f"vLLM {vllm.__version__} has no engine that Laconic can use in this process ({error}); install 0.32, "
                "or start its server and use `backend: vllm`."
            ) from error
        self._protocols: tuple[Any, Any] = (CompletionRequest, ChatCompletionRequest)
        self._most_tokens: Any = get_max_tokens
        self._context = engine.model_config.max_model_len
        self._defaults = engine.model_config.get_diff_sampling_param()
        self._where = f"The vLLM engine of {settings.name!r}"
        self._renderer: Any = OnlineRenderer(
            engine.model_config,
            engine.renderer,
            request_logger=None,
            chat_template=None,
            chat_template_content_format="auto",
            trust_request_chat_template=True,  # who writes the request runs the engine
        )
        config = engine.vllm_config
        blocks: int | None = config.cache_config.num_gpu_blocks
        honoured = {*SamplingParams.__struct_fields__, *VLLM_TEMPLATE_FIELDS, *_OF_A_CALL} - _NO_PLACE
        completion, chat = (frozenset(protocol.model_fields) & honoured for protocol in self._protocols)
        self.facts = ServerFacts(
            server="vllm",
            version=vllm.__version__,
            models=tuple(dict.fromkeys((settings.name, settings.model))),
            context=self._context,
            tokenizes=True,
            metrics=True,
            reports_cached=True,
            caches_prefixes=config.cache_config.enable_prefix_caching,
            block=config.cache_config.block_size,
            blocks=blocks - 1 if blocks is not None else None,  # vLLM never gives its first block away
            chat_fields=chat,
            completion_fields=completion,
            most_logprobs=engine.model_config.max_logprobs,
            limits_thinking=config.reasoning_config is not None,
            schedules_priorities=config.scheduler_config.policy == "priority",
            root=settings.model,
        )

    async def call(self, request: Request, *, stream: bool) -> Call:
        """What the engine is asked for `request`. Raises `BadRequest` and `ContextTooLong`."""
        try:
            asked, most = self._parsed(request, stream=stream)
            prompt = await self._rendered(request, asked)
            room = self._most_tokens(self._context, most, len(prompt["prompt_token_ids"]), self._defaults)
            return Call(prompt, asked.to_sampling_params(room, self._defaults), asked.priority)
        except Exception as error:  # as in vLLM's server, what rises from reading a request is the request's fault
            raise self.failure(error) or self._refused(str(error)) from error

    async def ids(self, request: Request) -> tuple[int, ...]:
        """The token ids of a request's prompt. Raises as `call` does."""
        return tuple((await self.call(request, stream=False)).prompt["prompt_token_ids"])

    def failure(self, error: Exception) -> BackendError | None:
        """Our error for one of vLLM's; None if it is none."""
        from pydantic import ValidationError
        from vllm.exceptions import GracefulHTTPError, VLLMClientError, VLLMServerError
        from vllm.v1.engine.exceptions import EngineDeadError

        if isinstance(error, BackendError):
            return error
        if isinstance(error, ValidationError):
            return self._refused("; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()))
        if isinstance(error, VLLMClientError):
            return self._refused(str(error))
        if isinstance(error, GracefulHTTPError):
            return RateLimited(f"{self._where} is too busy: {error}. Lower the model's `concurrency`.")
        if isinstance(error, EngineDeadError):
            return ServerFailure(
                f"{self._where} has ended, perhaps for want of memory. The next call starts it again; a smaller "
                "`context` or `memory` may help."
            )
        if isinstance(error, VLLMServerError):
            return ServerFailure(f"{self._where} failed: {error.__cause__ or error}.")
        return None

    def _parsed(self, request: Request, *, stream: bool) -> tuple[Any, int | None]:
        """The request object of vLLM's server, and the most tokens to generate, None for as many as fit."""
        chat = request.messages is not None
        for field in request.extra:
            if not self.facts.knows(field, chat=chat):
                raise failures.unknown_field("in this process", field, self.facts, chat=chat)
        if request.extra.get("priority") and not self.facts.schedules_priorities:
            raise BadRequest(
                f"{self._where} does not honour `priority`; give the model `options: {{scheduling_policy: priority}}`."
            )
        if "thinking_token_budget" in request.extra and not self.facts.limits_thinking:
            raise BadRequest(
                f"{self._where} does not honour `thinking_token_budget`; give the model "
                "`options: {reasoning_parser: NAME}`."
            )
        body = wire.fields(request, server="vllm", stream=stream)
        most = body.get("max_completion_tokens", body.get("max_tokens"))
        if most is None:
            body["max_tokens"] = 1  # a prompt that leaves room for none does not fit
        return self._protocols[chat].model_validate_json(wire.encode(body)), most

    async def _rendered(self, request: Request, asked: Any) -> Any:
        if request.messages is None:
            rendered = await self._renderer.render_completion(asked)
        else:
            rendered = await self._renderer.render_chat(asked)
            if isinstance(rendered, tuple):
                _, rendered = rendered
        if not isinstance(rendered, list):
            raise self._refused(rendered.error.message)
        return rendered[0]

    def _refused(self, said: str) -> BackendError:
        if failures.CONTEXT.search(said):
            return ContextTooLong(
                f"{self._where}: prompt and answer do not fit in the model's context: {said} "
                "Shorten the prompt, lower `max_tokens`, or give the model a longer `context`."
            )
        if failures.NO_TEMPLATE.search(said):
            return BadRequest(
                f"{self._where} has no chat template, so that it cannot be sent messages. Send a `prompt`, or use a "
                "chat model."
            )
        return BadRequest(f"{self._where} refused the request: {said}")
