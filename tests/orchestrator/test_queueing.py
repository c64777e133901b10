"""A flow's calls are sent in the order that the server's prefix cache likes best, and nobody notices but the bill."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from laconic import Flow, Runtime
from laconic.accounting import steering
from laconic.accounting.prefix_order import PrefixSlots
from laconic.accounting.slots import Slots
from laconic.backends import Request, ScriptedBackend, ServerFacts
from laconic.backends.load import Load
from laconic.orchestrator import queueing, runtime
from laconic.orchestrator.events import Event, LimitChanged
from laconic.orchestrator.models import ModelSpec
from laconic.orchestrator.queueing import Order, queue

DOCUMENTS = [f"Document {n} of the town archive. " + f"Item {n} lies in room {n * 7}. " * 12 for n in range(8)]
QUESTIONS = [{"document": document, "number": n} for n in range(5) for document in DOCUMENTS]
MODEL = {"backend": "scripted", "model": "script", "concurrency": 6, "options": {"answer": "room", "block": 16}}


def flow(**node: Any) -> Flow:
    return Flow(
        name="archive",
        models={"large": MODEL},
        inputs={"questions": "list"},
        nodes={
            "each": {
                "kind": "prompt",
                "for_each": "{{ questions }}",
                "prompt": "{{ item.document }} Question {{ item.number }}: where?",
                "max_tokens": 2,
                **node,
            }
        },
        outputs={"answers": "{{ each }}"},
    )


@pytest.fixture
def small_cache(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[ScriptedBackend]]:
    """The scripted model has a cache that holds three of the eight documents."""
    made: list[ScriptedBackend] = []

    async def open_small(*_: Any, **__: Any) -> ScriptedBackend:
        made.append(ScriptedBackend(echo, model="script", block=16, blocks=40))
        return made[-1]

    monkeypatch.setattr(runtime, "open_backend", open_small)
    return made


def echo(request: Request) -> str:
    assert request.messages is not None
    return request.messages[-1].content.split("Question ")[1].split(":")[0]


async def cached(order: Order, **node: Any) -> tuple[int, list[str]]:
    async with Runtime(order=order) as shared:
        result = await flow(**node).run(questions=QUESTIONS, runtime=shared)
    assert result.status == "ok", result.error
    return result.ledger.total().cache_read, result.outputs["answers"]


async def test_in_prefix_order_more_is_read_from_the_cache_and_answers_stay_in_place(small_cache: Any) -> None:
    (arrival, one), (prefix, other) = await cached("arrival"), await cached("prefix")
    assert one == other == [str(question["number"]) for question in QUESTIONS]
    assert prefix > 2 * arrival


async def test_every_element_is_there_to_choose_from_unless_the_node_says_how_many(small_cache: Any) -> None:
    everything, _ = await cached("prefix")
    few, _ = await cached("prefix", concurrency=2)
    assert few < everything


@pytest.mark.parametrize(
    ("facts", "order", "expected"),
    [
        (ServerFacts(server="vllm", caches_prefixes=True, block=16, blocks=99), "prefix", PrefixSlots),
        (ServerFacts(server="vllm", caches_prefixes=True, block=16, blocks=99), "arrival", Slots),
        (ServerFacts(server="vllm", caches_prefixes=False, block=16), "prefix", Slots),
        (ServerFacts(server="vllm"), "prefix", Slots),
        (ServerFacts(server="llama.cpp", reports_cached=True), "prefix", Slots),
    ],
)
async def test_order_is_kept_only_where_it_can_help(facts: ServerFacts, order: Order, expected: type[Slots]) -> None:
    backend = ScriptedBackend("x")

    async def known() -> ServerFacts:
        return facts

    backend.facts = known  # type: ignore[method-assign]  # a server of another kind
    slots, steered = await queue(ModelSpec(backend="vllm", model="m", url="http://h/v1"), backend, order, None)
    assert type(slots) is expected
    assert slots.limit == queueing.AT_ONCE["vllm"]
    assert steered is None, "a script does not tell how busy it is"


async def test_runs_that_open_a_model_at_the_same_time_share_its_slots(monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow(ScriptedBackend):
        async def facts(self) -> ServerFacts:
            await asyncio.sleep(0)
            return await super().facts()

    async def open_slow(*_: Any, **__: Any) -> Slow:
        return Slow(echo, model="script")

    monkeypatch.setattr(runtime, "open_backend", open_slow)
    async with Runtime() as shared:
        opened = await asyncio.gather(*(shared.models(flow()) for _ in range(4)))
    assert len({id(models["large"].slots) for models in opened}) == 1


class Busy(ScriptedBackend):
    """Says that it is a vLLM with a long queue, until somebody has heard it."""

    def __init__(self) -> None:
        super().__init__(self.answer, model="busy")
        self.heard = asyncio.Event()

    async def answer(self, request: Request) -> str:
        await self.heard.wait()
        return "ok"

    async def facts(self) -> ServerFacts:
        return ServerFacts(server="vllm", models=("busy",))

    async def load(self) -> Load:
        return Load(running=5, waiting=40, cache_usage=0.5)


async def test_a_limit_that_follows_the_server_is_an_event(monkeypatch: pytest.MonkeyPatch) -> None:
    busy = Busy()

    async def open_busy(*_: Any, **__: Any) -> Busy:
        return busy

    def hear(event: Event) -> None:
        if isinstance(event, LimitChanged):
            heard.append(event)
            busy.heard.set()

    heard: list[LimitChanged] = []
    monkeypatch.setattr(runtime, "open_backend", open_busy)
    monkeypatch.setattr(steering, "EVERY", 0.0)
    async with asyncio.timeout(10), Runtime(on_event=hear) as shared:
        result = await flow().run(questions=QUESTIONS[:3], runtime=shared)
    assert result.status == "ok"
    assert heard[0] == LimitChanged("busy", limit=5, running=5, waiting=40, cache_usage=0.5)
