"""How many calls a server is given at once follows its own queue."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laconic.accounting import steering
from laconic.accounting.call import Owner
from laconic.accounting.slots import Slots
from laconic.accounting.steering import Limit, Steering, next_limit
from laconic.backends import Count, Request
from laconic.backends.load import Load, read_load
from laconic.errors import BackendUnreachable

REQUEST = Request(model="m", prompt="x")
loads = st.builds(Load, running=st.integers(0, 500), waiting=st.integers(0, 500), cache_usage=st.floats(0, 1))


async def no_count(request: Request) -> Count:
    raise AssertionError("nobody needs to count")


@given(st.integers(1, 600), loads, st.booleans(), st.integers(1, 8), st.integers(8, 512))
def test_the_limit_stays_between_floor_and_most(limit: int, load: Load, busy: bool, floor: int, most: int) -> None:
    assert floor <= next_limit(limit, load, busy=busy, floor=floor, most=most) <= most


def test_what_waits_in_the_server_is_kept_here() -> None:
    assert next_limit(256, Load(64, 190, 0.7), busy=True, floor=4, most=256) == 64 + 8
    assert next_limit(40, Load(40, 0, 0.99), busy=True, floor=4, most=256) == 39, "its cache is full"
    assert next_limit(4, Load(0, 9, 0.0), busy=False, floor=4, most=256) == 4


def test_room_in_the_server_is_used_if_anybody_waits() -> None:
    assert next_limit(40, Load(40, 0, 0.5), busy=True, floor=4, most=256) == 50
    assert next_limit(40, Load(12, 0, 0.5), busy=False, floor=4, most=256) == 40
    assert next_limit(40, Load(40, 3, 0.5), busy=True, floor=4, most=256) == 40, "a few to spare are right"


def test_a_load_is_read_from_metrics_of_several_engines() -> None:
    text = "".join(
        f'vllm:num_requests_running{{engine="{n}"}} {n + 1}\nvllm:num_requests_waiting{{engine="{n}"}} {n}.0\n'
        f'vllm:kv_cache_usage_perc{{engine="{n}"}} 0.{n}\nvllm:num_requests_waiting_by_reason{{reason="x"}} 9\n'
        for n in range(2)
    )
    assert read_load(text) == Load(running=3, waiting=1, cache_usage=0.1)
    assert read_load("vllm:num_requests_running 1\n") is None
    assert read_load("") is None


class Server:
    """Tells the loads it was given, and then the last of them."""

    def __init__(self, *loads: Load | Exception) -> None:
        self.loads = list(loads)
        self.asked = asyncio.Event()
        self.times = 0

    async def load(self) -> Load | None:
        self.times += 1
        self.asked.set()
        found = self.loads.pop(0) if len(self.loads) > 1 else self.loads[0]
        if isinstance(found, Exception):
            raise found
        return found


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steering, "EVERY", 0.0)


async def test_a_crowded_server_gets_fewer_and_the_choice_is_told() -> None:
    slots, told = Slots(64), list[Limit]()
    server = Server(Load(10, 50, 0.5))
    steered = Steering(slots, server, told.append)
    async with await slots.place(REQUEST, Owner("r"), None, no_count):
        async with asyncio.timeout(5):
            while not told:  # noqa: ASYNC110  # the steering tells through a plain function
                await asyncio.sleep(0)
    assert slots.limit == 12
    assert told[0] == Limit(12, Load(10, 50, 0.5))
    await steered.aclose()


async def test_a_server_that_cannot_be_asked_changes_nothing() -> None:
    slots, server = Slots(64), Server(BackendUnreachable("gone"))
    steered = Steering(slots, server)
    async with await slots.place(REQUEST, Owner("r"), None, no_count):
        async with asyncio.timeout(5):
            await server.asked.wait()
    assert slots.limit == 64
    await steered.aclose()


async def test_nobody_is_asked_while_no_call_is_under_way() -> None:
    slots, server = Slots(64), Server(Load(1, 0, 0.0))
    steered = Steering(slots, server)
    for _ in range(5):
        await asyncio.sleep(0)
    assert server.times == 0
    async with await slots.place(REQUEST, Owner("r"), None, no_count):
        await server.asked.wait()
    async with asyncio.timeout(5):
        while steered._task is not None and not steered._task.done():  # noqa: ASYNC110  # it ends by itself
            await asyncio.sleep(0)
    times = server.times
    for _ in range(5):
        await asyncio.sleep(0)
    assert server.times == times
    await steered.aclose()


async def test_a_lowered_limit_waits_for_those_under_way_and_a_raised_one_lets_more_in() -> None:
    slots, free = Slots(2), asyncio.Event()
    began: list[int] = []

    async def call(number: int) -> None:
        async with await slots.place(REQUEST, Owner("r"), None, no_count):
            began.append(number)
            await free.wait()

    calls = [asyncio.create_task(call(number)) for number in range(5)]
    while len(began) < 2:  # noqa: ASYNC110  # the calls have no event of their own
        await asyncio.sleep(0)
    slots.resize(4)
    while len(began) < 4:  # noqa: ASYNC110  # the calls have no event of their own
        await asyncio.sleep(0)
    slots.resize(1)
    calls[4].cancel()
    free.set()
    await asyncio.gather(*calls, return_exceptions=True)
    assert began == [0, 1, 2, 3]
    assert (slots.taken, slots.crowded) == (0, False)
