"""From the kind of backend that a flow names to a backend that is ready to answer."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ..errors import BadRequest, FlowError, TokenizerUnavailable
from .backend import Backend

if TYPE_CHECKING:
    from .openai import OpenAIBackend
    from .scripted import Rule

DEFAULT_CONTEXT = 4096
"""Tokens of prompt and answer together, where a flow does not say."""
DEFAULT_SLOTS = 4
MOST_SLOTS = 8
"""Slots of a local model; each takes memory for a whole context, and calls beyond them wait their turn."""
DEFAULT_TIMEOUT = 600.0
"""Seconds that a call may take."""


async def open_backend(
    kind: str,
    model: str,
    *,
    url: str | None = None,
    key: str | None = None,
    context: int | None = None,
    timeout: float | None = None,
    estimate: bool = False,
    slots: int | None = None,
    options: Mapping[str, Any] | None = None,
    memory: float | None = None,
) -> Backend:
    """Open a model: start or reach what answers for it, so that what is wrong is known before a flow runs.

    `kind` is one of:

    * `local`: llama.cpp with a model of the catalogue or a GGUF file; `context` tokens for each of `slots` (at most 8)
      requests at once; `options`: `threads`, and fields of llama.cpp's parameters.
    * `openai`, `vllm`: a server at `url`, with an optional `key`; `options`: `tokenizer`, a `tokenizer.json`, its
      folder or an OpenAI model name, for servers that do not count prompts. `vllm` insists on a vLLM server.
    * `vllm` without a `url`: a vLLM server that is started for it, with a hub name or a folder with safetensors;
      `memory`: its share (0 to 1) of the accelerator's memory; `options`: vLLM's own arguments, and `env`.
    * `vllm-engine`: vLLM's engine in this process, with a folder or hub name; `options`: `memory`, a share of the
      device's memory, and fields of vLLM's `AsyncEngineArgs`.
    * `transformers`: a folder with safetensors, or a name of the catalogue, whose GGUF is converted the first time, run
      by transformers in this process; `options`: `device`, `dtype`, `skip`, a list of layers that are left out, and
      `readings`, how many prompts stay read (32): at least as many as answers are written at once.
    * `scripted`: `options`: `rules`, a list of `{match: REGEX, answer: TEXT}`, or `answer`, and `block`, `blocks` and
      `cache`.
    * `replay`: `options`: `store`, a JSONL file of `{key, request, completion}` lines.

    Raises what stands in the way: `ModelFileError`, `BackendUnreachable`, `ServerNotStarted`, `UnknownModel`,
    `TokenizerUnavailable`, and `FlowError` for options that make no sense.
    """
    given = dict(options or {})
    limit = DEFAULT_TIMEOUT if timeout is None else timeout
    match kind:
        case "local":
            return await _local(model, context or DEFAULT_CONTEXT, slots or DEFAULT_SLOTS, limit, given)
        case "vllm" if url is None:
            return await _started(model, context, memory, limit, given)
        case "openai" | "vllm":
            return await _served(kind, model, url, key, limit, estimate, given)
        case "vllm-engine":
            return await _engine(model, context, limit, given)
        case "transformers":
            return await _transformers(model, context, limit, given)
        case "scripted":
            return _scripted(model, context or DEFAULT_CONTEXT, given)
        case "replay":
            return await _replayed(model, given)
    raise FlowError(
        f"there is no backend {kind!r}; there is local, openai, vllm, vllm-engine, transformers, scripted, replay"
    )


async def _local(model: str, context: int, slots: int, timeout: float, options: dict[str, Any]) -> Backend:
    from .local import LocalBackend

    threads = options.pop("threads", None)
    if threads is not None and (not isinstance(threads, int) or threads < 1):
        raise FlowError(f"the option `threads` of the model {model!r} is a number of at least 1, not {threads!r}")
    local = LocalBackend(
        model, context=context, slots=min(slots, MOST_SLOTS), threads=threads, timeout=timeout, options=options
    )
    await local.start()
    return local


async def _started(
    model: str, context: int | None, memory: float | None, timeout: float, options: dict[str, Any]
) -> Backend:
    from .vllm_backend import VLLMBackend

    backend = VLLMBackend(model, context=context, memory=memory, options=options, timeout=timeout)
    await backend.start()
    return backend


async def _served(
    kind: str, model: str, url: str | None, key: str | None, timeout: float, estimate: bool, options: dict[str, Any]
) -> Backend:
    from .openai import OpenAIBackend

    if url is None:
        raise FlowError(
            f"the model {model!r} needs the `url` of the server that has it, such as http://127.0.0.1:8000/v1"
        )
    named = options.pop("tokenizer", None)
    _nothing_left(kind, model, options, "tokenizer")
    backend = OpenAIBackend(model, url, key=key, timeout=timeout, estimate=estimate, name=kind)
    try:
        facts = await backend.facts()
        if kind == "vllm" and facts.server != "vllm":
            raise BadRequest(f"{url} is no vLLM server; write `backend: openai` for any other.")
        if named is not None or not facts.tokenizes:
            await _give_tokenizer(backend, named)
    except BaseException:
        await backend.aclose()
        raise
    return backend


async def _give_tokenizer(backend: OpenAIBackend, named: object) -> None:
    """The tokenizer the user names; else tiktoken's, if the model is one of OpenAI's."""
    from .tokenizers import TiktokenTokenizer, load_tokenizer

    if named is not None:
        backend.tokenizer = await asyncio.to_thread(load_tokenizer, os.path.expandvars(str(named)))
        return
    with suppress(TokenizerUnavailable):
        tokenizer = TiktokenTokenizer(backend.model)
        backend.tokenizer = tokenizer  # even if it does not load: then it says at the first count why
        await asyncio.to_thread(tokenizer.load)


async def _engine(model: str, context: int | None, timeout: float, options: dict[str, Any]) -> Backend:
    from .vllm_engine import VLLMEngineBackend

    memory = options.pop("memory", None)
    if memory is not None and not isinstance(memory, (int, float)):
        raise FlowError(f"the option `memory` of the model {model!r} is a share of the memory, not {memory!r}")
    engine = VLLMEngineBackend(
        os.path.expandvars(model), name=model, context=context, memory=memory, options=options, timeout=timeout
    )
    try:
        await engine.start()
    except BaseException:
        await engine.aclose()
        raise
    return engine


async def _transformers(model: str, context: int | None, timeout: float, options: dict[str, Any]) -> Backend:
    from .transformers import TransformersBackend
    from .transformers.backend import READINGS, without_layers
    from .transformers.folder import model_folder

    device, dtype, skip = (options.pop(name, None) for name in ("device", "dtype", "skip"))
    readings = options.pop("readings", READINGS)
    _nothing_left("transformers", model, options, "device, dtype, skip, readings")
    if not isinstance(skip or [], list) or not all(isinstance(layer, int) for layer in skip or []):
        raise FlowError(f"the option `skip` of the model {model!r} is a list of layers, such as [20, 21], not {skip!r}")
    for name, value in (("device", device), ("dtype", dtype)):
        if value is not None and not isinstance(value, str):
            raise FlowError(f"the option `{name}` of the model {model!r} is one of PyTorch's names, not {value!r}")
    if isinstance(readings, bool) or not isinstance(readings, int):
        raise FlowError(f"the option `readings` of the model {model!r} is a number of prompts, not {readings!r}")
    folder = await asyncio.to_thread(model_folder, os.path.expandvars(model))
    skip = skip or []
    name = without_layers(model, skip)
    backend = TransformersBackend(
        folder, name=name, context=context, device=device, dtype=dtype, skip=skip, readings=readings, timeout=timeout
    )
    await backend.start()
    return backend


def _scripted(model: str, context: int, options: dict[str, Any]) -> Backend:
    from .scripted import ScriptedBackend

    answer, given = options.pop("answer", None), options.pop("rules", None)
    more = {name: options.pop(name) for name in ("block", "blocks", "cache") if name in options}
    _nothing_left("scripted", model, options, "answer, rules, block, blocks, cache")
    if isinstance(answer, str) and given is None:
        return ScriptedBackend(answer, model=model, context=context, **more)
    if answer is not None or not isinstance(given, list):
        raise FlowError(
            f"the options of the scripted model {model!r} need `rules`, a list of {{match: REGEX, answer: TEXT}}, or "
            "`answer`, a text, and not both"
        )
    return ScriptedBackend([_rule(model, entry) for entry in given], model=model, context=context, **more)


def _rule(model: str, entry: object) -> Rule:
    if not isinstance(entry, Mapping) or set(entry) != {"match", "answer"}:
        raise FlowError(f"a rule of the scripted model {model!r} is {{match: REGEX, answer: TEXT}}, not {entry!r}")
    try:
        re.compile(str(entry["match"]))
    except re.error as error:
        raise FlowError(
            f"the rule {entry['match']!r} of the scripted model {model!r} is no regular expression: {error}"
        ) from error
    return str(entry["match"]), str(entry["answer"])


async def _replayed(model: str, options: dict[str, Any]) -> Backend:
    from .replay import ReplayBackend, ReplayFile

    store = options.pop("store", None)
    _nothing_left("replay", model, options, "store")
    if store is None:
        raise FlowError(f"the model {model!r} is replayed from nothing; say `options: {{store: FILE.jsonl}}`")
    recording = await asyncio.to_thread(ReplayFile, os.path.expandvars(str(store)))
    return ReplayBackend(recording, model)


def _nothing_left(kind: str, model: str, options: Mapping[str, Any], known: str) -> None:
    if options:
        raise FlowError(f"the {kind} model {model!r} has no option {next(iter(options))!r}; it has {known}")
