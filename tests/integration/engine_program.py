"""Run as a program, with the interpreter that has vLLM: drives `VLLMEngineBackend` and prints what came of it as JSON.

Arguments: the folder of SmolLM2 in safetensors.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import sys
from typing import Any

from laconic.backends import Completion, Count, Message, Request, VLLMEngineBackend
from laconic.errors import BackendError

MODEL = "smol"
SCHEMA = {
    "type": "object",
    "properties": {"river": {"type": "string", "maxLength": 12}, "long": {"type": "boolean"}},
    "required": ["river", "long"],
    "additionalProperties": False,
}
TOPICS = ("rivers and lakes", "mountains and passes", "bridges and roads")


def mixed() -> list[Request]:
    """40 requests: chats, texts and ids; with common beginnings, stop strings, schemas, logprobs, sampling."""
    requests: list[Request] = []
    for n in range(8):
        system = Message("system", f"You know all about {TOPICS[n % 3]}. " * 30)
        question = Message("user", f"Name the {n}th most famous one.")
        requests += [
            Request(model=MODEL, messages=(system, question), max_tokens=10 + n),
            Request(model=MODEL, prompt=system.content + question.content, max_tokens=12, stop=("the", ".")),
            Request(model=MODEL, prompt_token_ids=tuple(range(100, 140 + n)), max_tokens=6, logprobs=n % 3),
            Request(model=MODEL, messages=(question,), max_tokens=60, schema=SCHEMA),
            Request(model=MODEL, messages=(question,), max_tokens=8, temperature=0.8, top_p=0.9, seed=n),
        ]
    return requests


async def broken_off(backend: VLLMEngineBackend, *, stream: bool) -> Completion:
    """What a request is known to have generated that is cancelled when the engine has counted some tokens of it."""
    before = await backend.counters()
    assert before is not None
    endless = Request(model=MODEL, prompt="Once upon a time", max_tokens=1500, extra={"ignore_eos": True})
    call = asyncio.create_task(backend.complete(endless, (lambda delta: None) if stream else None))
    while (now := await backend.counters()) is None or now.since(before).generated < 5:  # noqa: ASYNC110  # the engine tells no event
        await asyncio.sleep(0.01)
    call.cancel()
    try:
        return await call
    except asyncio.CancelledError as cancelled:
        partial: Completion = cancelled.partial  # type: ignore[attr-defined]  # see Backend
        return partial


async def refusal(backend: VLLMEngineBackend, request: Request) -> str:
    """The kind of error that a request meets."""
    try:
        await backend.complete(request)
    except BackendError as error:
        return type(error).__name__
    return "answered"


async def main(folder: str) -> dict[str, Any]:
    """Everything that the test looks at."""
    options = {"enforce_eager": True, "dtype": "bfloat16", "block_size": 32}
    backend = VLLMEngineBackend(folder, name=MODEL, context=2048, options=options)
    before = await backend.counters()
    requests = mixed()
    counts: list[Count] = [await backend.count(request) for request in requests]
    streams = [(lambda delta: None) if n % 2 else None for n in range(len(requests))]
    done = await asyncio.gather(*map(backend.complete, requests, streams))
    answered = await backend.counters()
    partials = [await broken_off(backend, stream=stream) for stream in (False, True)]
    after = await backend.counters()
    assert before is not None
    assert answered is not None
    assert after is not None
    change, rest = answered.since(before), after.since(answered)
    refusals = [
        await refusal(backend, request)
        for request in (
            Request(model="another", prompt="a"),
            Request(model=MODEL, prompt="word " * 3000),
            Request(model=MODEL, prompt="a", temperature=-1.0),
            Request(model=MODEL, prompt="a", extra={"guided_json": SCHEMA}),
            Request(model=MODEL, prompt_token_ids=(10**7,)),
        )
    ]
    facts = await backend.facts()
    await backend.aclose()
    return {
        "usage": [sum(getattr(c.usage, part) for c in done) for part in ("prompt", "cache_read", "completion")],
        "counters": [change.prompt, change.cached, change.generated],
        "counts": [count.tokens for count in counts],
        "prompts": [completion.usage.prompt for completion in done],
        "lengths": all(len(c.token_ids or ()) == c.usage.completion for c in done),
        "partials": [sum(getattr(c.usage, part) for c in partials) for part in ("prompt", "cache_read", "completion")],
        "rest": [rest.prompt, rest.cached, rest.generated],
        "sources": sorted({c.usage.source for c in partials}),
        "schemas": [c.text for c, request in zip(done, requests, strict=True) if request.schema is not None],
        "stopped": [c.text for c, request in zip(done, requests, strict=True) if request.stop],
        "logprobs": [
            [len(entry.top) for entry in c.logprobs or ()]
            for c, request in zip(done, requests, strict=True)
            if request.logprobs is not None
        ],
        "chat_ids": list(done[0].prompt_token_ids or ()),
        "chat": [[message.role, message.content] for message in requests[0].messages or ()],
        "refusals": refusals,
        "facts": [facts.server, facts.context, facts.block, facts.caches_prefixes],
        "children": [child.name for child in multiprocessing.active_children()],
    }


if __name__ == "__main__":
    print("RESULT " + json.dumps(asyncio.run(main(sys.argv[1]))), flush=True)
