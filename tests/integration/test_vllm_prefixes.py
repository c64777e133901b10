"""The prefix cache of a real vLLM: our model of it says the same, and our order of calls makes use of it."""

from __future__ import annotations

import random
import secrets
from collections.abc import AsyncIterator

import pytest

from laconic import Flow, Runtime
from laconic.backends import Message, OpenAIBackend, Request, VLLMServer
from laconic.backends.prefix_cache import PrefixCache
from laconic.backends.settled import settled_counters
from laconic.orchestrator.queueing import Order

pytestmark = pytest.mark.integration

FACTS = [
    f"Shelf {n} of the library holds {n * 3} maps of the coast and {n + 5} letters of its keepers. " for n in range(40)
]


@pytest.fixture
async def backend(vllm: VLLMServer) -> AsyncIterator[OpenAIBackend]:
    made = OpenAIBackend(vllm.name, vllm.url, key=vllm.key)
    yield made
    await made.aclose()


async def test_the_model_of_the_cache_and_the_real_one_read_the_same(backend: OpenAIBackend) -> None:
    """A long sequence of prompts that share beginnings, over a cache that holds a fraction of them."""
    facts = await backend.facts()
    assert facts.block is not None
    assert facts.blocks is not None
    cache, chance = PrefixCache(facts.block, facts.blocks), random.Random(5)
    beginnings = [[chance.randrange(1000, 30000) for _ in range(chance.randrange(150, 700))] for _ in range(12)]
    salt = secrets.token_hex(8)  # apart from whatever else is in the cache; that is older and is forgotten first
    real, modelled = [], []
    for _ in range(40):
        beginning = chance.choice(beginnings)
        cut = chance.choice((len(beginning), len(beginning) // 2, facts.block * 3))
        prompt = (*beginning[:cut], *(chance.randrange(1000, 30000) for _ in range(chance.randrange(1, 40))))
        request = Request(
            model=backend.model,
            prompt_token_ids=prompt,
            max_tokens=chance.randrange(1, 5),
            extra={"cache_salt": salt, "ignore_eos": True, "return_token_ids": True},
        )
        completion = await backend.complete(request)
        assert completion.token_ids is not None
        running = cache.begin(prompt)
        running.end((*prompt, *completion.token_ids[:-1]))
        real.append(completion.usage.cache_read)
        modelled.append(running.cached)
    assert real == modelled
    assert 0 < sum(modelled) < sum(read // facts.block * facts.block for read in map(len, beginnings)) * 5


def archive(vllm: VLLMServer) -> Flow:
    extra = {"cache_salt": secrets.token_hex(8)}
    return Flow(
        name="archive",
        models={"large": {"backend": "vllm", "model": vllm.name, "url": vllm.url, "extra": extra}},
        inputs={"prompts": "list"},
        nodes={
            "each": {
                "kind": "prompt",
                "for_each": "{{ prompts }}",
                "system": "{{ item.document }}",
                "prompt": "Question {{ item.number }}: which shelf?",
                "max_tokens": 2,
            }
        },
        outputs={"answers": "{{ each }}"},
    )


async def test_in_prefix_order_far_more_is_read_from_the_cache(vllm: VLLMServer, backend: OpenAIBackend) -> None:
    chance = random.Random(3)
    documents = ["".join(chance.sample(FACTS, 24)) for _ in range(7)]
    prompts = [{"document": document, "number": number} for document in documents for number in range(4)]
    chance.shuffle(prompts)
    read: dict[str, int] = {}
    orders: tuple[Order, ...] = ("arrival", "prefix")
    for order in orders:
        before = await settled_counters(backend)
        async with Runtime(order=order) as runtime:
            result = await archive(vllm).run(prompts=prompts, runtime=runtime)
        assert result.status == "ok", result.error
        assert len(result.outputs["answers"]) == len(prompts)
        total = result.ledger.total()
        read[order] = total.cache_read
        after = await settled_counters(backend)
        assert before is not None
        assert after is not None
        server = after.counters.since(before.counters)
        assert (server.prompt, server.cached) == (total.prompt, total.cache_read)
    facts = await backend.facts()
    cache, possible = PrefixCache(facts.block or 0), 0
    for prompt in prompts:
        question = f"Question {prompt['number']}: which shelf?"
        messages = (Message("system", prompt["document"]), Message("user", question))
        count = await backend.count(Request(model=backend.model, messages=messages))
        running = cache.begin(count.ids or ())
        possible += running.cached
    assert read["prefix"] >= 0.9 * possible
    assert read["prefix"] > read["arrival"]
