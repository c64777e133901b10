"""Exact prompt counts from the server that will run the prompt, with its own template and tokenizer.

llama.cpp renders a chat with `/apply-template`, which takes the whole body of a chat call, so that tools and template
arguments in `extra` count too, and tokenizes the result as it would before running it. vLLM does both in `/tokenize`.
The result equals the `prompt_tokens` of the answer.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec

from ..errors import MalformedAnswer
from .backend import Count, ServerFacts
from .request import ADDED, MARKS, Request
from .wire import encode, fields

_T = TypeVar("_T")

Post = Callable[[str, bytes], Awaitable[bytes]]
"""Sends a JSON body to a path below the server's root and returns the body of the answer; raises `BackendError`."""

VLLM_TEMPLATE_FIELDS = (
    "add_generation_prompt",
    ADDED,
    "chat_template",
    "chat_template_kwargs",
    "continue_final_message",
    "documents",
    "mm_processor_kwargs",
    "reasoning_effort",
    "tools",
)
"""Fields of a vLLM call, given in `extra`, that change its prompt."""


class _Rendered(msgspec.Struct):
    prompt: str


class _Tokens(msgspec.Struct):
    tokens: tuple[int, ...]


class _Counted(msgspec.Struct):
    count: int
    tokens: tuple[int, ...] | None = None


async def count_prompt(request: Request, facts: ServerFacts, post: Post) -> Count:
    """Prompt tokens of `request`, which has messages or text, on a server with `facts.tokenizes`.

    With `add_special_tokens: false` in `extra`, nothing is added to text; with `parse_special: false` nothing in it is
    taken as special, which vLLM has no way to be asked for.
    """
    if facts.server == "vllm":
        body: dict[str, Any] = {"model": request.model}
        body.update((name, request.extra[name]) for name in VLLM_TEMPLATE_FIELDS if name in request.extra)
        body.update({"messages": request.messages} if request.messages is not None else {"prompt": request.prompt})
        counted = _read(_Counted, await post("/tokenize", encode(body)))
        return Count(counted.count, ids=counted.tokens)
    text = request.prompt or ""
    if request.messages is not None:
        body = fields(request, server=facts.server)
        text = _read(_Rendered, await post("/apply-template", encode(body))).prompt
    begins = request.messages is not None or request.extra.get(ADDED, True)
    ids = await _llama_tokens(request.model, text, post, begins=begins, special=request.extra.get(MARKS, True))
    return Count(len(ids), ids=ids)


async def count_text(model: str, text: str, facts: ServerFacts, post: Post) -> int:
    """Tokens of generated `text`, which is no prompt: nothing is added to it and nothing in it is special."""
    if not text:
        return 0
    if facts.server == "vllm":
        body = {"model": model, "prompt": text, "add_special_tokens": False}
        return _read(_Counted, await post("/tokenize", encode(body))).count
    return len(await _llama_tokens(model, text, post, begins=False, special=False))


async def _llama_tokens(model: str, text: str, post: Post, *, begins: bool, special: bool) -> tuple[int, ...]:
    body = {"model": model, "content": text, "add_special": begins, "parse_special": special}
    return _read(_Tokens, await post("/tokenize", encode(body))).tokens


def _read(kind: type[_T], data: bytes) -> _T:
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MalformedAnswer(f"the server's answer about token counts is not what it should be ({error})") from error
