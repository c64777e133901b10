"""What a vLLM server can: read from its own description and its metrics, and from how it refuses a request.

* `/openapi.json` names the fields that its requests have. A field that is not there, such as `guided_json` since vLLM
  0.12, would be accepted with status 200 and ignored.
* `/metrics` tells whether prefixes are cached, in blocks of how many tokens, and how many blocks there are.
* Limits are found out by requests that the server must refuse, since their prompt is no token of any vocabulary: what
  it complains about first tells whether the limit stood in the way. Such a request computes nothing.

What cannot be found out in this way stays None: whether `usage` says how many tokens were cached, for one, only shows
in an answer.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any

import msgspec

from ..errors import BackendError
from .backend import ServerFacts
from .connection import PROBE_LIMIT, Connection
from .failures import read_refusal
from .metrics import samples

NO_TOKEN = 2**31 - 1
"""A token id beyond every vocabulary."""
_LIMIT = re.compile(r"max(?:imum)? allowed: (\d+)")


class _Schema(msgspec.Struct):
    properties: dict[str, Any] = {}


class _Components(msgspec.Struct):
    schemas: dict[str, msgspec.Raw] = {}


class _Description(msgspec.Struct):
    components: _Components


async def with_powers(facts: ServerFacts, connection: Connection, model: str) -> ServerFacts:
    """`facts` of a vLLM server, with what it can. Raises `BackendError` if it goes away meanwhile."""
    description, metrics, logprobs, thinking = await asyncio.gather(
        connection.probe(f"{connection.root}/openapi.json"),
        connection.probe(f"{connection.root}/metrics"),
        _refusal(connection, model, logprobs=10**6),
        _refusal(connection, model, thinking_token_budget=1),
    )
    chat, completion = read_fields(description)
    facts = msgspec.structs.replace(facts, chat_fields=chat, completion_fields=completion)
    limit = _LIMIT.search(logprobs or "")
    knows_thinking = facts.knows("thinking_token_budget", chat=False)
    return msgspec.structs.replace(
        with_cache(facts, metrics.decode(errors="replace") if metrics is not None else ""),
        metrics=metrics is not None,
        most_logprobs=int(limit[1]) if limit is not None else None,
        limits_thinking=None if not thinking or knows_thinking is None else knows_thinking and "reason" not in thinking,
    )


def read_fields(description: bytes | None) -> tuple[frozenset[str] | None, frozenset[str] | None]:
    """The fields of a chat call and of a completions call in an OpenAPI description; None where it has none."""
    if description is None:
        return None, None
    try:
        schemas = msgspec.json.decode(description, type=_Description).components.schemas
        names = ("ChatCompletionRequest", "CompletionRequest")
        found = [msgspec.json.decode(schemas[name], type=_Schema) if name in schemas else None for name in names]
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None, None
    chat, completion = (frozenset(schema.properties) if schema is not None else None for schema in found)
    return chat, completion


def with_cache(facts: ServerFacts, metrics: str) -> ServerFacts:
    """`facts` with what `vllm:cache_config_info` says of the prefix cache; with several engines, of the smallest."""
    blocks: list[int] = []
    for _, labels, _ in samples(metrics, ("vllm:cache_config_info",)):
        block = labels.get("effective_attention_block_size") or labels.get("block_size", "")
        facts = msgspec.structs.replace(
            facts,
            caches_prefixes=labels.get("enable_prefix_caching") == "True",
            block=int(block) if block.isdecimal() else None,
        )
        number = labels.get("num_gpu_blocks", "")
        blocks += [int(number)] if number.isdecimal() else []
    usable = min(blocks) - 1 if blocks else None  # vLLM never gives its first block away
    return msgspec.structs.replace(facts, blocks=usable)


async def _refusal(connection: Connection, model: str, **fields: Any) -> str | None:
    """What the server complains about first in a request that it cannot but refuse."""
    body = {"model": model, "prompt": [NO_TOKEN], "max_tokens": 1, **fields}
    try:
        async with asyncio.timeout(PROBE_LIMIT):
            response = await connection.send("POST", connection.completions, msgspec.json.encode(body))
    except (BackendError, TimeoutError):
        return None
    return read_refusal(response.content).message if response.status_code == 400 else None
