"""A cell: one job of many prompts on a vLLM server, through Laconic or through a bare script.

    python benchmarks/jobs.py {prefix,arrival,bare} WORKLOAD URL MODEL

`prefix` and `arrival` are a flow with `for_each`, in these orders; `bare` posts all requests at once and waits for the
answers. WORKLOAD is a call of `workloads`, such as `shared(24,8)`. Each run has a cache of its own on the server (a
salt), and every answer has all the tokens that it may have, so that all do the same work. Prints one JSON object.
"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import sys
import time
from typing import Any

import aiohttp
import workloads

from laconic import Flow, Runtime
from laconic.backends import Counters, OpenAIBackend
from laconic.backends.settled import settled_counters


def prompts(call: str) -> workloads.Prompts:
    """The prompts that a call such as `shared(24,8)` makes."""
    match = re.fullmatch(r"(shared|apart)\((\d+(?:,\d+)?)\)", call)
    if match is None:
        raise SystemExit(f"{call!r} is no workload: write shared(DOCUMENTS,QUESTIONS) or apart(NUMBER)")
    made: workloads.Prompts = getattr(workloads, match[1])(*map(int, match[2].split(",")))
    return made


async def through_laconic(order: Any, wanted: workloads.Prompts, url: str, model: str, extra: dict[str, Any]) -> float:
    """Seconds of a flow over the prompts."""
    flow = Flow(
        name="job",
        models={"large": {"backend": "vllm", "model": model, "url": url, "extra": extra}},
        inputs={"prompts": "list"},
        nodes={
            f"most_{most}": {
                "kind": "prompt",
                "for_each": f"{{{{ prompts | selectattr('most', 'equalto', {most}) | list }}}}",
                "system": "{{ item.system }}",
                "prompt": "{{ item.question }}",
                "max_tokens": most,
            }
            for most in sorted({prompt["most"] for prompt in wanted})
        },
        outputs={},
    )
    async with Runtime(order=order) as runtime:
        await runtime.models(flow)
        began = time.perf_counter()
        result = await flow.run(prompts=wanted, runtime=runtime)
        seconds = time.perf_counter() - began
        result.raise_for_status()
        assert result.ledger.total(status="ok").calls == len(wanted)
    return seconds


async def bare(wanted: workloads.Prompts, url: str, model: str, extra: dict[str, Any]) -> float:
    """Seconds of posting all of it at once."""

    async def post(prompt: dict[str, Any]) -> None:
        messages = [{"role": "system", "content": prompt["system"]}, {"role": "user", "content": prompt["question"]}]
        body = {"model": model, "messages": messages, "max_tokens": prompt["most"], "temperature": 0, **extra}
        async with session.post(f"{url}/chat/completions", json=body) as response:
            response.raise_for_status()
            await response.json()

    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=None)
    ) as session:
        began = time.perf_counter()
        await asyncio.gather(*map(post, wanted))
        return time.perf_counter() - began


async def main() -> None:
    how, call, url, model = sys.argv[1:]
    wanted, extra = prompts(call), {"ignore_eos": True, "cache_salt": secrets.token_hex(8)}
    backend = OpenAIBackend(model, url)
    before = await settled_counters(backend)
    if how == "bare":
        seconds = await bare(wanted, url, model, extra)
    else:
        seconds = await through_laconic(how, wanted, url, model, extra)
    after = await settled_counters(backend)
    await backend.aclose()
    assert before is not None
    assert after is not None
    print(json.dumps(figures(after.counters.since(before.counters), seconds)))


def figures(moved: Counters, seconds: float) -> dict[str, Any]:
    """What the server counted, and how long it took."""
    return {
        "seconds": seconds,
        "prompt": moved.prompt,
        "computed": moved.computed,
        "cached": moved.cached,
        "generated": moved.generated,
        "rate": (moved.prompt + moved.generated) / seconds,
    }


if __name__ == "__main__":
    asyncio.run(main())
