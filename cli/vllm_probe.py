"""What only shows in an answer of a vLLM server, found out with two short calls that are metered like any other."""

from __future__ import annotations

import msgspec

from ..accounting.call import Owner
from ..accounting.meter import Meter, MeteredModel
from ..backends.backend import ServerFacts
from ..backends.request import Request

FIRST_TOKEN = 100
"""The prompt is this token and those after it: in every vocabulary, and text in none."""


class Probed(msgspec.Struct, frozen=True):
    """What came of sending one prompt of two blocks twice."""

    spent: int
    """Tokens that it took."""
    reports_cached: bool
    """Whether the server said how many tokens came from its cache."""
    hit: bool | None
    """Whether the second prompt was found in the cache; None if neither answer nor counters tell."""


async def probe(meter: Meter, model: MeteredModel, facts: ServerFacts) -> Probed:
    """Ask twice for one token. Raises `BackendError`."""
    size = 2 * (facts.block or 16) + 1
    prompt = tuple(range(FIRST_TOKEN, FIRST_TOKEN + size))
    before = await model.backend.counters()
    usages = []
    for sample in range(2):
        request = Request(model=model.backend.model, prompt_token_ids=prompt, max_tokens=1, sample=sample)
        completion = await meter.complete(model, request, owner=Owner("doctor"), purpose="probe")
        usages.append(completion.usage)
    after = await model.backend.counters()
    hit, read = None, usages[-1].cache_read
    if read is not None:
        hit = read > 0
    elif before is not None and after is not None:
        hit = after.since(before).cached > 0
    return Probed(sum(usage.total or 0 for usage in usages), read is not None, hit)


def told(facts: ServerFacts, probed: Probed) -> list[str]:
    """What a person should know of the server, and which flag changes what is amiss."""
    lines = []
    if not probed.reports_cached:
        lines.append(
            "does not say how many prompt tokens came from its cache: start it with --enable-prompt-tokens-details, "
            "or `cached` stays unknown in the bill"
        )
    if facts.caches_prefixes is False:
        lines.append("caches no prefixes: start it with --enable-prefix-caching")
    elif probed.hit:
        size = f", {facts.blocks:,} blocks of {facts.block} tokens" if facts.blocks and facts.block else ""
        lines.append(f"caches prefixes{size}: calls that wait are sent in the order that uses them")
    elif probed.hit is False:
        lines.append(
            "never finds a prefix in its cache, as some hybrid models do not: no order of calls helps (--order arrival)"
        )
    if facts.most_logprobs is not None:
        lines.append(f"reports at most {facts.most_logprobs} logprobs a token (--max-logprobs)")
    if facts.limits_thinking is False:
        lines.append("does not limit thinking: `thinking_token_budget` needs --reasoning-parser")
    if facts.schedules_priorities is None and facts.knows("priority"):
        lines.append("does not tell whether it honours `priority` (--scheduling-policy priority)")
    if facts.chat_fields is None:
        lines.append(
            "does not describe its requests (/openapi.json): a field it does not know would be ignored silently"
        )
    return lines
