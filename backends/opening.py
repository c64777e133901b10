"""From the kind of backend that a flow names to a backend that is ready to answer."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import BadRequest, FlowError
from .backend import Backend

DEFAULT_CONTEXT = 4096
DEFAULT_SLOTS = 4
DEFAULT_TIMEOUT = 600.0


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
) -> Backend:
    """Open a model: start or reach what answers for it, and find out whether it has the model.

    `kind` is `local`, `openai`, `vllm`, `scripted` or `replay`; `options` are the kind's own. Raises what stands in the
    way: `ModelFileError`, `BackendUnreachable`, `UnknownModel`, `FlowError` for options that make no sense.
    """
    given = dict(options or {})
    match kind:
        case "local":
            from .local import LocalBackend

            local = LocalBackend(
                model, context=context or DEFAULT_CONTEXT, slots=slots or DEFAULT_SLOTS, timeout=timeout or DEFAULT_TIMEOUT, options=given
            )
            await local.start()
            return local
        case "openai" | "vllm":
            return await _served(kind, model, url, key, timeout or DEFAULT_TIMEOUT, estimate, given)
        case "scripted":
            from .scripted import ScriptedBackend

            rules = [(str(rule["match"]), str(rule["answer"])) for rule in given.pop("rules", [])]
            return ScriptedBackend(rules, model=model, context=context or DEFAULT_CONTEXT, **given)
        case "replay":
            from .replay import ReplayBackend, ReplayFile, content_key

            if "store" not in given:
                raise FlowError(f"the model {model!r} is replayed from nothing; say `options: {{store: FILE.jsonl}}`")
            return ReplayBackend(ReplayFile(Path(os.path.expandvars(given["store"]))), model, key=content_key)
        case _:
            raise FlowError(f"there is no backend {kind!r}; there is local, openai, vllm, scripted, replay")


async def _served(
    kind: str, model: str, url: str | None, key: str | None, timeout: float, estimate: bool, options: dict[str, Any]
) -> Backend:
    from .openai import OpenAIBackend

    if url is None:
        raise FlowError(f"the model {model!r} needs the `url` of the server that has it, such as http://127.0.0.1:8000/v1")
    tokenizer = None
    if "tokenizer" in options:
        from .tokenizers import load_tokenizer

        tokenizer = load_tokenizer(os.path.expandvars(options["tokenizer"]))
    backend = OpenAIBackend(model, url, key=key, timeout=timeout, estimate=estimate, tokenizer=tokenizer, name=kind)
    try:
        facts = await backend.facts()
        if kind == "vllm" and facts.server != "vllm":
            raise BadRequest(f"{url} is no vLLM server; write `backend: openai` for any other")
    except BaseException:
        await backend.aclose()
        raise
    return backend
