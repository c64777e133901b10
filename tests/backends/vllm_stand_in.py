"""A stand-in for vLLM, with the few names that Laconic uses: an engine that answers with the ids it is given.

A prompt is tokenized as one id for each word; the generated tokens are 100, 101 and so on, `w100 w101 ` in text.
"""

from __future__ import annotations

import asyncio
import dataclasses
import sys
from collections.abc import AsyncIterator, Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import msgspec
import pydantic
import pytest

CONTEXT = 32


class VLLMClientError(Exception):
    pass


class VLLMServerError(Exception):
    pass


class GracefulHTTPError(Exception):
    pass


class EngineDeadError(VLLMServerError):
    pass


class SamplingParams(msgspec.Struct, kw_only=True):
    n: int = 1
    temperature: float = 1.0
    top_p: float = 1.0
    seed: int | None = None
    stop: list[str] | None = None
    max_tokens: int | None = 16
    min_tokens: int = 0
    logprobs: int | None = None
    ignore_eos: bool = False
    allowed_token_ids: list[int] | None = None
    prompt_logprobs: int | None = None
    streams: bool = False


class _Protocol(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow")

    model: str
    stream: bool = False
    n: int = 1
    temperature: float = 1.0
    top_p: float = 1.0
    seed: int | None = None
    stop: list[str] | None = None
    max_tokens: int | None = None
    min_tokens: int = 0
    ignore_eos: bool = False
    allowed_token_ids: list[int] | None = None
    response_format: dict[str, Any] | None = None
    priority: int = 0
    user: str | None = None
    prompt_logprobs: int | None = None

    def to_sampling_params(self, most: int, defaults: dict[str, Any]) -> SamplingParams:
        if self.temperature < 0:
            raise VLLMClientError("temperature must be non-negative")
        names = ("temperature", "top_p", "seed", "stop", "min_tokens", "ignore_eos", "allowed_token_ids")
        given = {name: getattr(self, name) for name in (*names, "prompt_logprobs")}
        asked = self.logprobs if isinstance(self, CompletionRequest) else getattr(self, "top_logprobs", None)
        return SamplingParams(**given, max_tokens=most, logprobs=asked, streams=self.stream)


class ChatCompletionRequest(_Protocol):
    messages: list[dict[str, Any]]
    logprobs: bool = False
    top_logprobs: int | None = None
    chat_template_kwargs: dict[str, Any] | None = None


class CompletionRequest(_Protocol):
    prompt: str | list[int]
    logprobs: int | None = None


class OnlineRenderer:
    def __init__(self, config: Any, renderer: Any, **settings: Any) -> None:
        pass

    async def render_chat(self, request: Any) -> Any:
        if request.messages[0]["content"] == "no template":
            return SimpleNamespace(error=SimpleNamespace(message="you must provide a chat template"))
        text = " ".join(message["content"] for message in request.messages)
        return [], [_tokens(text, request)]

    async def render_completion(self, request: Any) -> Any:
        if isinstance(request.prompt, list):
            return [{"type": "token", "prompt_token_ids": request.prompt}]
        return [_tokens(request.prompt, request)]


def _tokens(text: str, request: Any) -> dict[str, Any]:
    ids = list(range(1, len(text.split()) + 1))
    if len(ids) + (request.max_tokens or 0) > CONTEXT:
        raise VLLMClientError(f"This model's maximum context length is {CONTEXT} tokens.")
    return {"type": "token", "prompt_token_ids": ids}


def get_max_tokens(context: int, most: int | None, used: int, defaults: dict[str, Any]) -> int:
    return min(context - used, most if most is not None else context)


@dataclasses.dataclass
class AsyncEngineArgs:
    model: str = ""
    served_model_name: list[str] | None = None
    use_tqdm_on_load: bool = True
    max_model_len: int | None = None
    gpu_memory_utilization: float = 0.9
    scheduling_policy: str = "fcfs"
    enforce_eager: bool = False


@dataclasses.dataclass
class Running:
    """A request in the engine."""

    prompt: list[int]
    sampling: SamplingParams
    priority: int
    ids: list[int] = dataclasses.field(default_factory=list)
    sent: int = 0
    finish: str | None = None
    changed: asyncio.Event = dataclasses.field(default_factory=asyncio.Event)


class AsyncLLM:
    """`made` are those that were started; a test's `failing` is raised instead of starting one."""

    made: list[AsyncLLM]
    failing: Exception | None
    tokens: int
    """How many tokens an answer gets before the engine stops to wait; None of the rest comes."""
    waited: list[float | None]
    """The seconds that whoever ended the engine was ready to wait for its process."""

    def __init__(self, args: AsyncEngineArgs, loggers: list[Any]) -> None:
        self.args = args
        self.requests: dict[str, Running] = {}
        self.aborted: list[str] = []
        self.ended = 0
        self.errored = False
        self.loggers = [made(None, 0) for made in loggers]
        self.renderer = None
        self.model_config = SimpleNamespace(
            max_model_len=args.max_model_len or CONTEXT, max_logprobs=5, get_diff_sampling_param=dict
        )
        self.vllm_config = SimpleNamespace(
            cache_config=SimpleNamespace(enable_prefix_caching=True, block_size=4, num_gpu_blocks=9),
            scheduler_config=SimpleNamespace(policy=args.scheduling_policy),
            reasoning_config=None,
        )
        self.waited = []
        manager = SimpleNamespace(processes=[SimpleNamespace(join=self.waited.append)])
        self.engine_core = SimpleNamespace(resources=SimpleNamespace(engine_manager=manager))

    @classmethod
    def from_engine_args(cls, args: AsyncEngineArgs, *, stat_loggers: list[Any]) -> AsyncLLM:
        if cls.failing is not None:
            raise cls.failing
        cls.made.append(cls(args, stat_loggers))
        return cls.made[-1]

    async def generate(self, prompt: Any, sampling: Any, number: str, *, priority: int) -> AsyncIterator[Any]:
        running = self.requests[number] = Running(prompt["prompt_token_ids"], sampling, priority)
        for _ in range(min(self.tokens, sampling.max_tokens)):
            running.ids.append(100 + len(running.ids))
            self._record(len(running.prompt) if len(running.ids) == 1 else 0, 1)
            if len(running.ids) == sampling.max_tokens:
                running.finish = "length"
            elif sampling.streams:
                yield self._output(running)
        while running.finish is None:
            await running.changed.wait()
            running.changed.clear()
            if self.errored:
                raise EngineDeadError("see the stack trace above")
        yield self._output(running)

    def _record(self, prompt: int, generated: int) -> None:
        prompts = SimpleNamespace(total=prompt, cached_tokens=min(prompt, 1))
        for logger in self.loggers:
            logger.record(None, SimpleNamespace(prompt_token_stats=prompts, num_generation_tokens=generated))
            logger.record(None, None, mm_cache_stats=None, engine_idx=0)

    def _output(self, running: Running) -> Any:
        ids = running.ids[running.sent :] if running.sampling.streams else running.ids
        running.sent = len(running.ids)
        logprobs = None
        if running.sampling.logprobs is not None:
            logprobs = [
                {
                    token: SimpleNamespace(logprob=-2.0, decoded_token=f"w{token}"),
                    7: SimpleNamespace(logprob=-1.0, decoded_token="seven"),
                }
                for token in ids
            ]
        text = "".join(f"w{token} " for token in ids)
        piece = SimpleNamespace(text=text, token_ids=ids, finish_reason=running.finish, logprobs=logprobs)
        of_prompt = None
        if running.sampling.prompt_logprobs is not None:
            of_prompt = [None, *({token: SimpleNamespace(logprob=-token / 2)} for token in running.prompt[1:])]
        return SimpleNamespace(
            outputs=[piece], prompt_token_ids=running.prompt, num_cached_tokens=1, prompt_logprobs=of_prompt
        )

    async def abort(self, numbers: str | list[str]) -> None:
        for number in [numbers] if isinstance(numbers, str) else numbers:
            self.aborted.append(number)
            self.requests[number].finish = "abort"
            self.requests[number].changed.set()

    def die(self) -> None:
        self.errored = True
        for running in self.requests.values():
            running.changed.set()

    def shutdown(self) -> None:
        self.ended += 1


def _module(name: str, **members: Any) -> ModuleType:
    module = ModuleType(name)
    vars(module).update(members)
    return module


def put_in_place(monkeypatch: pytest.MonkeyPatch, *, device: str = "cuda", tokens: int = 1000) -> type[AsyncLLM]:
    """Have `import vllm` find the stand-in, on a machine with this device; returns its engine's class."""
    engine: type[AsyncLLM] = type("AsyncLLM", (AsyncLLM,), {"made": [], "failing": None, "tokens": tokens})
    modules: list[tuple[str, dict[str, Any]]] = [
        ("vllm", {"__version__": "0.32.0"}),
        ("vllm.platforms", {"current_platform": SimpleNamespace(device_type=device)}),
        ("vllm.engine.arg_utils", {"AsyncEngineArgs": AsyncEngineArgs}),
        ("vllm.v1.engine.async_llm", {"AsyncLLM": engine}),
        ("vllm.v1.engine.exceptions", {"EngineDeadError": EngineDeadError}),
        (
            "vllm.exceptions",
            {name: globals()[name] for name in ("GracefulHTTPError", "VLLMClientError", "VLLMServerError")},
        ),
        ("vllm.entrypoints.openai.chat_completion.protocol", {"ChatCompletionRequest": ChatCompletionRequest}),
        ("vllm.entrypoints.openai.completion.protocol", {"CompletionRequest": CompletionRequest}),
        ("vllm.entrypoints.serve.utils.api_utils", {"get_max_tokens": get_max_tokens}),
        ("vllm.renderers.online_renderer", {"OnlineRenderer": OnlineRenderer}),
        ("vllm.sampling_params", {"SamplingParams": SamplingParams}),
    ]
    for name, members in modules:
        parts = name.split(".")
        for end in range(1, len(parts)):
            package = ".".join(parts[:end])
            if package not in sys.modules:
                monkeypatch.setitem(sys.modules, package, _module(package))
        monkeypatch.setitem(sys.modules, name, _module(name, **members))
    found: Callable[[str], object] = lambda name: object()  # noqa: E731  # one expression, typed
    monkeypatch.setattr("importlib.util.find_spec", found)
    return engine
