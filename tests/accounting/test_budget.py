"""A budget is a wall: whatever runs at once and however calls end, no limit is passed and nobody waits for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from laconic.accounting import Budget, BudgetScope, Price, Reservation
from laconic.backends.usage import NOTHING, UNKNOWN, Usage
from laconic.errors import BudgetExceeded, FlowError

PRICE = Price(prompt=2_000_000, completion=3_000_000, cached=1_000_000)
"""2 dollars a prompt token, 1 if cached, 3 a completion token: costs are whole dollars."""


def scope(name: str = "run", parent: BudgetScope | None = None, **limits: Any) -> BudgetScope:
    return BudgetScope(Budget(**limits), name, parent)


async def idle() -> None:
    """Let every task that can go on do so."""
    for _ in range(5):
        await asyncio.sleep(0)


async def now(task: asyncio.Task[Reservation]) -> Reservation:
    """What a waiting call has got by now, without waiting on for ever if it has got nothing."""
    await idle()
    assert task.done()
    return task.result()


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class TestOneScope:
    async def test_max_tokens_shrink_to_what_settled_calls_left(self) -> None:
        run = scope(tokens=100)
        first = await run.reserve(prompt=30, max_tokens=50)
        assert first.max_tokens == 50
        first.settle(Usage(30, 20, 0, 0, 0))
        assert run.spent.tokens == 50
        second = await run.reserve(prompt=30, max_tokens=50)
        assert second.max_tokens == 20
        assert run.left.tokens == 0

    async def test_without_max_tokens_all_that_is_left_is_granted(self) -> None:
        assert (await scope(tokens=100).reserve(prompt=30)).max_tokens == 70
        assert (await scope(calls=2).reserve(prompt=30)).max_tokens is None

    async def test_a_call_waits_for_open_reservations_and_then_gets_its_full_size(self) -> None:
        run = scope(tokens=100)
        first = await run.reserve(prompt=40, max_tokens=40)
        waiting = asyncio.create_task(run.reserve(prompt=40, max_tokens=40))
        await idle()
        assert not waiting.done()
        first.settle(Usage(40, 5, 0, 0, 0))
        assert (await now(waiting)).max_tokens == 15
        assert run.spent.tokens + run.reserved.tokens == 100

    async def test_a_call_that_can_never_fit_is_refused_at_once(self) -> None:
        run = scope("run 7", tokens=100)
        first = await run.reserve(prompt=40, max_tokens=10)
        with pytest.raises(BudgetExceeded, match=r"run 7 is 100 tokens; 0 are spent and this call needs 101") as caught:
            await run.reserve(prompt=100, max_tokens=40)
        error = caught.value
        assert (error.scope, error.unit, error.limit, error.spent, error.needed) == ("run 7", "tokens", 100, 0, 101)
        assert "Raise `budget: {tokens: ...}` of run 7 to 101" in str(error)
        assert first.open
        assert run.reserved.calls == 1

    async def test_least_is_the_smallest_answer_worth_having(self) -> None:
        run = scope(tokens=100)
        assert (await run.reserve(prompt=60, max_tokens=200, least=40)).max_tokens == 40
        with pytest.raises(BudgetExceeded):
            await scope(tokens=100).reserve(prompt=61, max_tokens=200, least=40)
        assert (await scope(tokens=100).reserve(prompt=95, max_tokens=5, least=40)).max_tokens == 5

    async def test_a_waiter_is_refused_when_settled_spending_leaves_too_little(self) -> None:
        run = scope(tokens=100)
        first = await run.reserve(prompt=40, max_tokens=40)
        waiting = asyncio.create_task(run.reserve(prompt=30, max_tokens=40))
        await idle()
        first.settle(Usage(40, 40, 0, 0, 0))
        with pytest.raises(BudgetExceeded):
            await now(waiting)

    async def test_what_is_unknown_is_booked_as_reserved(self) -> None:
        run = scope(tokens=100)
        (await run.reserve(prompt=40, max_tokens=30)).settle(UNKNOWN)
        assert run.spent.tokens == 70
        (await run.reserve(prompt=10, max_tokens=10)).settle(Usage(10, None))
        assert run.spent.tokens == 90
        assert run.spent.calls == 2

    async def test_a_server_that_ignores_max_tokens_is_booked_in_full_and_closes_the_wall(self) -> None:
        run = scope(tokens=100)
        (await run.reserve(prompt=40, max_tokens=30)).settle(Usage(40, 90, 0, 0, 0))
        assert run.spent.tokens == 130
        assert run.left.tokens == 0
        with pytest.raises(BudgetExceeded):
            await run.reserve(prompt=1, max_tokens=1)

    async def test_a_released_call_leaves_no_trace(self) -> None:
        run = scope(tokens=100, calls=1)
        reservation = await run.reserve(prompt=40, max_tokens=60)
        assert run.left == (0, 0, None)
        reservation.release()
        reservation.release()
        assert run.left == (100, 1, None)
        assert run.spent == (0, 0, 0)

    async def test_a_reservation_is_settled_once(self) -> None:
        run = scope(tokens=100)
        reservation = await run.reserve(prompt=40, max_tokens=30)
        reservation.settle(NOTHING)
        with pytest.raises(RuntimeError, match="exactly once"):
            reservation.settle(NOTHING)
        assert run.spent == (0, 1, 0)

    async def test_a_block_that_forgets_to_settle_books_everything(self) -> None:
        run = scope(tokens=100)
        with suppress(KeyError), await run.reserve(prompt=40, max_tokens=30):
            raise KeyError
        assert run.spent.tokens == 70
        with await run.reserve(prompt=10, max_tokens=10) as reservation:
            reservation.settle(Usage(10, 1, 0, 0, 0))
        assert run.spent.tokens == 81

    async def test_try_reserve_never_waits(self) -> None:
        run = scope(tokens=100)
        first = run.try_reserve(prompt=40, max_tokens=40)
        assert first is not None
        assert run.try_reserve(prompt=40, max_tokens=40) is None
        assert run.reserved.calls == 1
        with pytest.raises(BudgetExceeded):
            run.try_reserve(prompt=200)

    async def test_a_small_call_does_not_overtake_a_large_one_that_waits(self) -> None:
        run = scope(tokens=100)
        first = await run.reserve(prompt=50, max_tokens=10)
        large = asyncio.create_task(run.reserve(prompt=50, max_tokens=50))
        await idle()
        small = asyncio.create_task(run.reserve(prompt=1, max_tokens=1))
        await idle()
        assert not small.done()
        first.release()
        await idle()
        assert large.done()
        assert not small.done()
        (await now(large)).release()
        assert (await now(small)).max_tokens == 1

    async def test_a_cancelled_waiter_lets_the_next_one_go(self) -> None:
        run = scope(tokens=100)
        first = await run.reserve(prompt=50, max_tokens=10)
        large = asyncio.create_task(run.reserve(prompt=50, max_tokens=50))
        await idle()
        small = asyncio.create_task(run.reserve(prompt=1, max_tokens=1))
        await idle()
        large.cancel()
        assert (await now(small)).max_tokens == 1
        assert run.reserved.tokens == 62
        first.release()
        assert run.waiting == []

    async def test_a_waiter_cancelled_in_the_moment_it_is_served_gives_everything_back(self) -> None:
        run = scope(tokens=100)
        first = await run.reserve(prompt=50, max_tokens=10)
        waiting = asyncio.create_task(run.reserve(prompt=50, max_tokens=50))
        await idle()
        first.release()
        assert run.reserved.tokens == 100
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await now(waiting)
        assert run.reserved == (0, 0, 0)


class TestLimits:
    def test_a_budget_says_what_is_wrong_with_it(self) -> None:
        for wrong in ({"tokens": 0}, {"calls": -1}, {"cost": 0}, {"seconds": 0}, {"token": 5}, {"cost": "inf"}):
            with pytest.raises(ValidationError):
                Budget.model_validate(wrong)
        assert Budget.model_validate({"cost": 0.1}).cost == Decimal("0.1")

    async def test_calls(self) -> None:
        run = scope(calls=2)
        first = await run.reserve(prompt=1, max_tokens=1)
        second = await run.reserve(prompt=1, max_tokens=1)
        waiting = asyncio.create_task(run.reserve(prompt=1, max_tokens=1))
        await idle()
        assert not waiting.done()
        first.release()
        third = await now(waiting)
        second.settle(NOTHING)
        third.settle(NOTHING)
        with pytest.raises(BudgetExceeded, match="is 2 calls; 2 are spent"):
            await run.reserve(prompt=1, max_tokens=1)

    async def test_cost_shrinks_max_tokens_to_what_the_money_pays_for_in_the_worst_case(self) -> None:
        run = scope(cost=100)
        reservation = await run.reserve(prompt=10, max_tokens=50, price=PRICE)
        assert reservation.max_tokens == 26
        assert run.reserved.cost == 98
        reservation.settle(Usage(10, 20, 10, 0, 0))
        assert run.spent.cost == 10 + 60
        with pytest.raises(BudgetExceeded, match="is 100 dollars; 70 are spent and this call needs 43"):
            await run.reserve(prompt=20, max_tokens=10, price=PRICE)

    async def test_cost_of_a_usage_that_does_not_say_what_was_cached_is_the_worst(self) -> None:
        run = scope(cost=100)
        (await run.reserve(prompt=10, max_tokens=5, price=PRICE)).settle(Usage(10, 2))
        assert run.spent.cost == 26

    async def test_a_model_without_a_price_cannot_run_under_a_cost_limit(self) -> None:
        with pytest.raises(FlowError, match="no price: unknown is not free"):
            await scope(cost=1).reserve(prompt=1, max_tokens=1)

    async def test_seconds(self) -> None:
        clock = Clock()
        run = BudgetScope(Budget(seconds=10), "run", clock=clock)
        node = BudgetScope(Budget(seconds=60), "node", run, clock=clock)
        assert (run.deadline, node.deadline, node.seconds_left) == (110, 110, 10)
        clock.now = 109
        (await node.reserve(prompt=1)).release()
        clock.now = 110.5
        with pytest.raises(BudgetExceeded, match=r"run is 10 seconds and 10\.5 have passed") as caught:
            await node.reserve(prompt=1)
        assert caught.value.unit == "seconds"

    async def test_who_waits_when_the_time_is_over_is_refused_then(self) -> None:
        run = scope(tokens=100, seconds=0.02)
        first = await run.reserve(prompt=100, max_tokens=0)
        with pytest.raises(BudgetExceeded, match="seconds"):
            await run.reserve(prompt=10, max_tokens=10)
        assert run.waiting == []
        first.release()
        assert run.reserved.tokens == 0

    def test_whether_prompts_must_be_counted(self) -> None:
        run = scope(calls=5, seconds=9)
        assert not run.counts_tokens
        assert scope("node", run, tokens=5).counts_tokens
        assert scope("node", scope(cost=5)).counts_tokens


class TestTree:
    async def test_every_scope_above_is_charged(self) -> None:
        run = scope(tokens=100)
        node = scope("node", run)
        item = scope("item", node, tokens=50)
        reservation = await item.reserve(prompt=20, max_tokens=20)
        assert [level.reserved.tokens for level in (item, node, run)] == [40, 40, 40]
        reservation.settle(Usage(20, 5, 0, 0, 0))
        assert [level.spent.tokens for level in (item, node, run)] == [25, 25, 25]
        assert item.left.tokens == 25
        assert run.left.tokens == 75

    async def test_the_tightest_scope_decides_and_is_named(self) -> None:
        run = scope(tokens=100)
        item = scope("item 3", run, tokens=50)
        assert (await item.reserve(prompt=20, max_tokens=90)).max_tokens == 30
        with pytest.raises(BudgetExceeded) as caught:
            await scope("item 4", run, tokens=50).reserve(prompt=51)
        assert caught.value.scope == "item 4"

    async def test_who_waits_for_a_sibling_scope_holds_nobody_else_up(self) -> None:
        run = scope(tokens=1000)
        crowded, free = scope("a", run, tokens=50), scope("b", run, tokens=50)
        first = await crowded.reserve(prompt=50, max_tokens=0)
        waiting = asyncio.create_task(crowded.reserve(prompt=10, max_tokens=5))
        await idle()
        assert (await free.reserve(prompt=10, max_tokens=5)).max_tokens == 5
        assert not waiting.done()
        first.release()
        await now(waiting)

    async def test_who_waits_for_the_run_is_not_starved_by_small_calls_of_other_nodes(self) -> None:
        run = scope(tokens=100)
        one, other = scope("one", run), scope("other", run, tokens=90)
        first = await one.reserve(prompt=10, max_tokens=10)
        large = asyncio.create_task(one.reserve(prompt=50, max_tokens=50))
        await idle()
        late = asyncio.create_task(other.reserve(prompt=1, max_tokens=1))
        await idle()
        assert not late.done()
        first.release()
        (await now(large)).release()
        await now(late)

    async def test_who_is_blocked_twice_is_not_overtaken_at_the_upper_scope(self) -> None:
        run = scope(tokens=100)
        one, other = scope("one", run, tokens=50), scope("other", run)
        held = [await one.reserve(prompt=20, max_tokens=0), await other.reserve(prompt=60, max_tokens=0)]
        early = asyncio.create_task(one.reserve(prompt=45, max_tokens=0))
        await idle()
        late = asyncio.create_task(other.reserve(prompt=5, max_tokens=0))
        await idle()
        assert not late.done()
        for reservation in held:
            reservation.release()
        assert (await now(early)).prompt == 45
        assert (await now(late)).prompt == 5


limits = st.none() | st.integers(1, 60)


@st.composite
def trees(draw: st.DrawFn) -> list[BudgetScope]:
    """Scopes, each under one that stands before it, with limits of any kind."""
    tree: list[BudgetScope] = []
    for number in range(draw(st.integers(1, 6))):
        parent = draw(st.sampled_from(tree)) if tree else None
        calls = draw(st.none() | st.integers(1, 6))
        budget = Budget(tokens=draw(limits), calls=calls, cost=draw(st.none() | st.integers(1, 150)))
        tree.append(BudgetScope(budget, f"scope {number}", parent))
    return tree


class Play:
    """Plays calls that come, end and go in any order, and checks the promises after every move."""

    def __init__(self, tree: list[BudgetScope], data: st.DataObject) -> None:
        self.tree, self.data = tree, data
        self.waiting: list[tuple[BudgetScope, asyncio.Task[Reservation]]] = []
        self.open: list[Reservation] = []

    def draw(self, strategy: st.SearchStrategy[Any]) -> Any:
        return self.data.draw(strategy)

    async def run(self) -> None:
        for _ in range(self.draw(st.integers(1, 25))):
            move = self.draw(st.sampled_from(["ask", "ask", "ask", "end", "cancel", "end and cancel"]))
            if move == "ask":
                await self.ask()
            if move.startswith("end") and self.open:
                self.end(self.draw(st.integers(0, len(self.open) - 1)))
            if move.endswith("cancel") and self.waiting:
                self.draw(st.sampled_from(self.waiting))[1].cancel()
            await self.settle_down()
        while self.open:
            self.end(self.draw(st.integers(0, len(self.open) - 1)))
            await self.settle_down()
        assert self.waiting == []
        for level in self.tree:
            assert level.reserved == (0, 0, 0)
            assert level.waiting == []

    async def ask(self) -> None:
        level = self.draw(st.sampled_from(self.tree))
        prompt, max_tokens = self.draw(st.integers(0, 30)), self.draw(st.none() | st.integers(0, 30))
        least = self.draw(st.integers(0, 10))
        needed = prompt + (least if max_tokens is None else min(least, max_tokens))
        fits = all(room >= needed for room in self.rooms(level))
        task = asyncio.create_task(level.reserve(prompt, max_tokens, least, PRICE))
        await asyncio.sleep(0)
        if task.done() and task.exception() is not None:
            worst = PRICE.worst(prompt, needed - prompt)
            pays = all(s.budget.cost is None or s.spent.cost + worst <= s.budget.cost for s in level.chain)
            calls = all(s.budget.calls is None or s.spent.calls < s.budget.calls for s in level.chain)
            assert isinstance(task.exception(), BudgetExceeded)
            assert not (fits and pays and calls)
        else:
            assert fits
            if task.done() and not any(s.budget.cost for s in level.chain):
                sizes = [room - prompt for room in self.rooms(level)] + ([] if max_tokens is None else [max_tokens])
                assert task.result().max_tokens == (min(sizes) if sizes else None)
            self.waiting.append((level, task))

    def rooms(self, level: BudgetScope) -> Iterator[int]:
        """Tokens that settled calls left, at each scope that limits them."""
        for above in level.chain:
            if above.budget.tokens is not None:
                yield above.budget.tokens - above.spent_tokens

    def end(self, number: int) -> None:
        reservation = self.open.pop(number)
        way = self.draw(st.sampled_from(["settle", "part", "unknown", "release", "leave"]))
        most = reservation.max_tokens or 0
        if way == "settle":
            cached = self.draw(st.integers(0, reservation.prompt))
            reservation.settle(Usage(reservation.prompt, self.draw(st.integers(0, most)), cached, 0, 0))
        elif way == "part":
            reservation.settle(Usage(reservation.prompt, None))
        elif way == "unknown":
            reservation.settle(UNKNOWN)
        elif way == "release":
            reservation.release()
        else:
            with reservation:
                pass

    async def settle_down(self) -> None:
        self.check_limits()
        await idle()
        self.check_limits()
        left = []
        for level, task in self.waiting:
            if not task.done():
                left.append((level, task))
            elif not task.cancelled() and task.exception() is None:
                self.open.append(task.result())
                overtaken = [other for other, _ in left if set(other.chain) <= set(level.chain)]
                assert overtaken == [], "served before one that came earlier and needs nothing else"
        self.waiting = left
        held = sum(level.reserved.calls for level in self.tree if level.parent is None)
        assert held == len(self.open)
        assert held or not self.waiting, "somebody waits although nothing is reserved"
        for level in self.tree:
            assert level.reserved.calls or not level.waiting, "somebody waits for a scope that nobody uses"

    def check_limits(self) -> None:
        for level in self.tree:
            spent, reserved, budget = level.spent, level.reserved, level.budget
            assert budget.tokens is None or spent.tokens + reserved.tokens <= budget.tokens
            assert budget.calls is None or spent.calls + reserved.calls <= budget.calls
            assert budget.cost is None or spent.cost + reserved.cost <= budget.cost
            assert min(*spent, *reserved) >= 0


@given(tree=trees(), data=st.data())
def test_no_limit_is_passed_and_nobody_waits_for_ever(tree: list[BudgetScope], data: st.DataObject) -> None:
    asyncio.run(Play(tree, data).run())


@given(
    sizes=st.lists(st.tuples(st.integers(0, 40), st.integers(1, 40)), min_size=1, max_size=30),
    limit=st.integers(41, 120),
    order=st.randoms(use_true_random=False),
)
def test_one_scope_serves_in_the_order_of_arrival(sizes: list[tuple[int, int]], limit: int, order: Any) -> None:
    async def play() -> None:
        run = scope(tokens=limit)
        served: list[int] = []
        open_calls: list[Reservation] = []

        async def call(number: int, prompt: int, max_tokens: int) -> None:
            with suppress(BudgetExceeded):
                open_calls.append(await run.reserve(prompt, max_tokens))
                served.append(number)

        async with asyncio.TaskGroup() as group:
            for number, size in enumerate(sizes):
                group.create_task(call(number, *size))
            await idle()
            while open_calls:
                open_calls.pop(order.randrange(len(open_calls))).settle(Usage(0, order.randrange(3), 0, 0, 0))
                await idle()
        assert served == sorted(served)
        assert run.reserved.tokens == 0

    asyncio.run(play())
