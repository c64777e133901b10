"""Calls that wait go to a server in the order that its prefix cache likes best, and every one of them goes."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from laconic.accounting import prefix_order
from laconic.accounting.cache_belief import CacheBelief
from laconic.accounting.call import Owner
from laconic.accounting.ledger import Ledger
from laconic.accounting.meter import Meter, MeteredModel
from laconic.accounting.prefix_order import PrefixSlots
from laconic.accounting.prefix_plan import Plan, Planned
from laconic.accounting.slots import Slots
from laconic.backends import Completion, Latency, Request, ScriptedBackend
from laconic.errors import ServerFailure

BLOCK = 4
SYSTEM = tuple(range(8))


def prompts(documents: int, questions: int, *, length: int = 40, seed: int = 1) -> list[tuple[int, ...]]:
    """Documents of `length` tokens after one system prompt, with several questions each, in shuffled order."""
    made = [
        (*SYSTEM, *(100 + document * 50 + n for n in range(length)), 10 + question, 9, 9, 9)
        for document in range(documents)
        for question in range(questions)
    ]
    random.Random(seed).shuffle(made)
    return made


def owner(number: int) -> Owner:
    return Owner("r", f"each[{number}]", str(number))


async def sent(
    ids: list[tuple[int, ...]], slots: Slots, backend: ScriptedBackend, **more: Any
) -> tuple[Ledger, list[Completion | BaseException]]:
    model = MeteredModel("large", backend, retries=0)
    model.slots = slots
    meter = Meter(Ledger())
    calls: list[Awaitable[Completion]] = [
        meter.complete(model, Request(model="m", prompt_token_ids=prompt, max_tokens=2, **more), owner=owner(n))
        for n, prompt in enumerate(ids)
    ]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    return meter.ledger, answers


def scripted(blocks: int | None, **more: Any) -> ScriptedBackend:
    return ScriptedBackend("ok", block=BLOCK, blocks=blocks, **more)


@pytest.mark.parametrize("at_once", [1, 4, 32])
async def test_a_cache_too_small_for_all_reuses_nearly_what_an_infinite_one_would(at_once: int) -> None:
    ids, blocks = prompts(12, 6), 60
    infinite, _ = await sent(ids, Slots(1), scripted(None))
    arrival, _ = await sent(ids, Slots(at_once), scripted(blocks))
    ordered, answers = await sent(ids, PrefixSlots(at_once, block=BLOCK, blocks=blocks), scripted(blocks))
    possible = infinite.total().cache_read
    assert ordered.total().cache_read >= 0.95 * possible
    assert arrival.total().cache_read < 0.8 * possible
    assert [answer.text for answer in answers if isinstance(answer, Completion)] == ["ok"] * len(ids)


async def test_the_others_of_a_group_wait_for_the_first_token_of_one() -> None:
    seen: list[tuple[int, ...]] = []
    computed = asyncio.Event()

    async def answer(request: Request) -> str:
        seen.append(request.prompt_token_ids or ())
        if len(seen) == 1:
            await computed.wait()
        return "ok"

    backend = ScriptedBackend(answer, block=BLOCK)
    running = asyncio.create_task(sent(prompts(1, 5), PrefixSlots(8, block=BLOCK), backend))
    while not seen:  # noqa: ASYNC110  # the call has no event of its own
        await asyncio.sleep(0)
    for _ in range(50):
        await asyncio.sleep(0)
    assert len(seen) == 1, "four share its prefix and wait for it"
    computed.set()
    ledger, _ = await running
    assert len(seen) == 5
    assert [call.usage.cache_read for call in ledger.calls] == [0, 48, 48, 48, 48]


async def test_prompts_with_salts_of_their_own_do_not_wait_for_each_other() -> None:
    under_way = asyncio.Barrier(4)

    async def answer(request: Request) -> str:
        await under_way.wait()
        return "ok"

    model = MeteredModel("large", ScriptedBackend(answer, block=BLOCK), retries=0)
    model.slots = PrefixSlots(8, block=BLOCK)
    meter = Meter(Ledger())
    prompt = prompts(1, 1)[0]
    async with asyncio.timeout(10):
        await asyncio.gather(
            *(
                meter.complete(
                    model,
                    Request(model="m", prompt_token_ids=prompt, max_tokens=2, extra={"cache_salt": salt}),
                    owner=owner(n),
                )
                for n, salt in enumerate("abcd")
            )
        )
    assert meter.ledger.total().cache_read == 0


async def test_when_the_first_of_a_group_fails_another_leads() -> None:
    backend = scripted(None, failures=[ServerFailure("it broke")])
    ledger, answers = await sent(prompts(1, 4), PrefixSlots(8, block=BLOCK), backend)
    assert sum(isinstance(answer, ServerFailure) for answer in answers) == 1
    assert ledger.total(status="ok").calls == 3


async def test_a_lone_call_is_not_counted_and_begins_at_once() -> None:
    backend = scripted(None)
    counted = []

    async def count(request: Request) -> Any:
        counted.append(request)
        return await ScriptedBackend.count(backend, request)

    backend.count = count  # type: ignore[method-assign]  # to see whether it is asked
    await sent(prompts(1, 1), PrefixSlots(8, block=BLOCK), backend)
    assert not counted
    await sent(prompts(1, 2), PrefixSlots(8, block=BLOCK), backend)
    assert len(counted) == 2


async def test_prompts_that_cannot_be_counted_are_sent_all_the_same() -> None:
    backend = scripted(None)

    async def count(request: Request) -> Any:
        raise ServerFailure("cannot count")

    backend.count = count  # type: ignore[method-assign]  # a server that cannot count
    ledger, _ = await sent(prompts(2, 3), PrefixSlots(2, block=BLOCK), backend)
    assert ledger.total(status="ok").calls == 6


def test_a_newcomer_goes_when_all_that_was_planned_is_given_up() -> None:
    plan = Plan(CacheBelief(BLOCK, None))
    waiting = [Planned(ids=(n,), marks=(), expected=1) for n in range(20)]
    for call in waiting:
        plan.add(call)
    given = plan.next()
    assert given is waiting[0]
    for call in waiting[1:]:
        call.gone = True
    newcomer = Planned(ids=(99,), marks=(), expected=1)
    plan.add(newcomer)
    assert plan.next() is newcomer
    assert plan.next() is None


async def test_a_server_that_never_counts_holds_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prefix_order, "PATIENCE", 0.01)
    backend = scripted(None)

    async def count(request: Request) -> Any:
        await asyncio.Event().wait()

    backend.count = count  # type: ignore[method-assign]  # a server that hangs when it is asked to count
    async with asyncio.timeout(10):
        ledger, _ = await sent(prompts(2, 3), PrefixSlots(2, block=BLOCK), backend)
    assert ledger.total(status="ok").calls == 6


async def test_calls_of_items_that_have_begun_go_first() -> None:
    slots = PrefixSlots(1, block=BLOCK)
    order: list[str] = []

    async def call(item: str, prompt: int) -> None:
        request = Request(model="m", prompt_token_ids=tuple(range(prompt, prompt + 9)))
        place = await slots.place(request, Owner("r", "n", item), None, ScriptedBackend("x").count)
        async with place:
            order.append(item)
            await free.wait()

    free = asyncio.Event()
    free.set()
    await call("old", 0)
    free.clear()
    calls = [asyncio.create_task(call(item, 100 * n)) for n, item in enumerate(["first", "new", "newer", "old"], 1)]
    while len(order) < 2 or len(slots._places) < 3:  # noqa: ASYNC110  # until one is under way and three wait
        await asyncio.sleep(0)
    free.set()
    await asyncio.gather(*calls)
    assert order == ["old", "first", "old", "new", "newer"]


@settings(max_examples=30, deadline=None)
@given(
    shape=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(1, 30)), min_size=1, max_size=25),
    blocks=st.one_of(st.none(), st.integers(1, 40)),
    limit=st.integers(1, 6),
    cancelled=st.sets(st.integers(0, 24)),
    failing=st.sets(st.integers(1, 25)),
)
async def test_whatever_happens_every_call_goes_or_ends_and_every_slot_comes_back(
    shape: list[tuple[int, int, int]], blocks: int | None, limit: int, cancelled: set[int], failing: set[int]
) -> None:
    backend = ScriptedBackend(
        "ok",
        block=BLOCK,
        blocks=blocks,
        latency=Latency(0.0, 1e-6),
        failures=lambda number: ServerFailure("it broke") if number in failing else None,
    )
    slots = PrefixSlots(limit, block=BLOCK, blocks=blocks)
    model = MeteredModel("large", backend, retries=0)
    model.slots = slots
    meter = Meter(Ledger())
    most = 0

    def watch(ask: Callable[..., Awaitable[Completion]]) -> Callable[..., Awaitable[Completion]]:
        async def asked(*args: Any) -> Completion:
            nonlocal most
            most = max(most, slots.taken)
            return await ask(*args)

        return asked

    backend.complete = watch(backend.complete)  # type: ignore[method-assign, assignment]  # to see how many there are
    tasks = []
    for number, (a, b, length) in enumerate(shape):
        ids = (*[a] * 8, *[b] * 8, *([number + 20] * length))
        request = Request(model="m", prompt_token_ids=ids, max_tokens=3)
        tasks.append(asyncio.ensure_future(meter.complete(model, request, owner=owner(number))))
    await asyncio.sleep(0)
    for number in cancelled:
        if number < len(tasks):
            tasks[number].cancel()
    async with asyncio.timeout(20):
        await asyncio.gather(*tasks, return_exceptions=True)
    assert slots.taken == 0
    assert not slots.crowded
    assert most <= limit
    assert all(task.done() for task in tasks)
    again, _ = await sent(prompts(1, 3), slots, ScriptedBackend("ok", block=BLOCK))
    assert again.total().calls == 3, "the slots are as good as new"
