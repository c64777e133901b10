"""The one door: every attempt is entered once, a budget is a wall, the same call under way is sent once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from laconic.accounting import Budget, Ledger, Meter, MeteredModel, Store
from laconic.accounting.budget import BudgetScope
from laconic.accounting.call import Owner
from laconic.backends import CutStream, Message, Request, ScriptedBackend
from laconic.errors import (
    BackendError,
    BackendTimeout,
    BackendUnreachable,
    BadRequest,
    BudgetExceeded,
    RateLimited,
    ServerFailure,
)

ME = Owner("run", "node")


def ask(text: str, **more: Any) -> Request:
    return Request(model="scripted", messages=(Message("user", text),), **more)


def model(
    answer: Any = "one two three", *, concurrency: int | None = None, retries: int = 2, **more: Any
) -> MeteredModel:
    return MeteredModel("large", ScriptedBackend(answer, **more), concurrency=concurrency, retries=retries)


async def test_a_call_is_entered_with_its_owner_and_what_it_used() -> None:
    meter = Meter(Ledger())
    completion = await meter.complete(
        model(), ask("hello"), owner=Owner("r", "answer/plan", "q1", "ann"), purpose="plan"
    )
    (call,) = meter.ledger.calls
    assert (call.run, call.node, call.item, call.agent, call.model, call.purpose) == (
        "r",
        "answer/plan",
        "q1",
        "ann",
        "large",
        "plan",
    )
    assert call.usage == completion.usage
    assert (call.status, call.attempt, call.usage.source) == ("ok", 1, "server")


async def test_every_entry_of_a_call_says_how_long_its_instruction_is(monkeypatch: pytest.MonkeyPatch) -> None:
    _instant(monkeypatch)
    meter, large = Meter(Ledger(), store=Store(), reuse=True), model(failures=[ServerFailure("500"), None])
    for _ in range(2):
        await meter.complete(large, ask("hello"), owner=ME, instruction=7)
    await meter.complete(large, ask("and you"), owner=ME)
    said = [(call.status, call.instruction) for call in meter.ledger.calls]
    assert said == [("failed", 7), ("ok", 7), ("replayed", 7), ("ok", None)]
    _, sent, replayed, _ = meter.ledger.calls
    assert (sent.usage, sent.attempt, sent.node) == (replayed.avoided, 2, "node")


async def test_every_attempt_is_a_call_and_the_last_error_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    waits = _instant(monkeypatch)
    failures = [ServerFailure("500"), RateLimited("429", retry_after=7.0), None]
    meter = Meter(Ledger())
    await meter.complete(model(failures=failures), ask("x"), owner=ME)
    assert [(call.status, call.attempt) for call in meter.ledger.calls] == [("failed", 1), ("failed", 2), ("ok", 3)]
    assert waits[1] == 7.0
    unknown, nothing, _ = (call.usage for call in meter.ledger.calls)
    assert unknown.prompt is None, "what a failing server had computed is unknown, not zero"
    assert nothing.prompt == 0, "a refused call spent nothing"
    assert meter.ledger.total().at_least("prompt")


async def test_what_cannot_pass_is_not_tried_again() -> None:
    meter = Meter(Ledger())
    with pytest.raises(BadRequest):
        await meter.complete(model(failures=[BadRequest("400")]), ask("x"), owner=ME)
    assert len(meter.ledger.calls) == 1


async def test_retries_end(monkeypatch: pytest.MonkeyPatch) -> None:
    _instant(monkeypatch)
    meter = Meter(Ledger())
    with pytest.raises(BackendUnreachable):
        await meter.complete(model(failures=lambda n: BackendUnreachable("down"), retries=3), ask("x"), owner=ME)
    assert [call.attempt for call in meter.ledger.calls] == [1, 2, 3, 4]


async def test_counting_a_prompt_is_tried_again_like_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    _instant(monkeypatch)
    large, meter = model(), Meter(Ledger())
    count, troubles = large.backend.count, [ServerFailure("connection lost")]

    async def shaky(request: Request) -> Any:
        if troubles:
            raise troubles.pop()
        return await count(request)

    monkeypatch.setattr(large.backend, "count", shaky)
    await meter.complete(large, ask("x", max_tokens=5), owner=ME, scope=BudgetScope(Budget(tokens=500), "the run"))
    assert [(call.status, call.attempt) for call in meter.ledger.calls] == [("ok", 2)]


async def test_a_cut_stream_is_counted_as_far_as_it_came() -> None:
    meter = Meter(Ledger())
    large = model("one two three four five", failures=[CutStream(2)], retries=0)
    with pytest.raises(BackendError):
        await meter.complete(large, ask("x"), owner=ME, on_delta=lambda delta: None)
    (call,) = meter.ledger.calls
    assert (call.status, call.usage.completion, call.usage.source) == ("failed", 2, "counted")


async def test_an_aborted_stream_is_counted_as_far_as_it_came() -> None:
    meter, pieces = Meter(Ledger()), []
    arrived = asyncio.Event()

    def seen(delta: Any) -> None:
        pieces.append(delta.text)
        if len(pieces) == 3:
            arrived.set()

    task = asyncio.create_task(meter.complete(model("a b c d e f g h i j k"), ask("x"), owner=ME, on_delta=seen))
    await arrived.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    (call,) = meter.ledger.calls
    assert call.status == "aborted"
    assert call.usage.source == "counted"
    assert (call.usage.completion or 0) >= 3


async def test_the_same_call_under_way_is_sent_once() -> None:
    large, meter = model(), Meter(Ledger())
    answers = await asyncio.gather(*(meter.complete(large, ask("same"), owner=Owner("r", f"n{i}")) for i in range(5)))
    assert len({answer.text for answer in answers}) == 1
    assert isinstance(large.backend, ScriptedBackend)
    assert len(large.backend.requests) == 1
    statuses = sorted(call.status for call in meter.ledger.calls)
    assert statuses == ["ok", "replayed", "replayed", "replayed", "replayed"]
    total = meter.ledger.total()
    assert total.virtual_total == 5 * (answers[0].usage.total or 0)
    assert total.total == answers[0].usage.total


async def test_different_draws_of_a_sampled_call_are_sent_each() -> None:
    large, meter = model(), Meter(Ledger())
    draws = [ask("same", temperature=1.0, sample=number) for number in range(3)]
    await asyncio.gather(*(meter.complete(large, draw, owner=ME) for draw in draws))
    assert [call.status for call in meter.ledger.calls] == ["ok"] * 3


async def test_who_waits_for_a_call_that_is_cancelled_sends_it_himself() -> None:
    large, meter = model(), Meter(Ledger())
    first = asyncio.create_task(meter.complete(large, ask("same"), owner=Owner("r", "first")))
    second = asyncio.create_task(meter.complete(large, ask("same"), owner=Owner("r", "second")))
    await asyncio.sleep(0)
    first.cancel()
    assert (await second).text == "one two three"
    with pytest.raises(asyncio.CancelledError):
        await first
    assert sorted((call.node, call.status) for call in meter.ledger.calls) == [("first", "aborted"), ("second", "ok")]


async def test_a_stored_answer_is_used_again_only_if_it_may_be() -> None:
    store, large = Store(), model()
    await Meter(Ledger(), store=store).complete(large, ask("x"), owner=ME)
    again, fresh = Meter(Ledger(), store=store, reuse=True), Meter(Ledger(), store=store)
    await again.complete(large, ask("x"), owner=Owner("later", "elsewhere"))
    await fresh.complete(large, ask("x"), owner=ME)
    assert [call.status for call in again.ledger.calls] == ["replayed"]
    assert again.ledger.total().total == 0
    assert again.ledger.total().virtual_total > 0
    assert [call.status for call in fresh.ledger.calls] == ["ok"]


async def test_an_answer_that_a_budget_cut_short_is_not_kept() -> None:
    store, large = Store(), model("one two three four five six seven eight nine ten")
    request = ask("x", max_tokens=50)
    prompt = (await large.backend.count(request)).tokens
    scope = BudgetScope(Budget(tokens=prompt + 3), "the run")
    short = await Meter(Ledger(), store=store).complete(large, request, owner=ME, scope=scope)
    assert (short.finish_reason, short.usage.completion) == ("length", 3)
    whole = await Meter(Ledger(), store=store, reuse=True).complete(large, request, owner=ME)
    assert whole.finish_reason == "stop"


async def test_a_hundred_branches_never_exceed_the_budget() -> None:
    """Where peers that check after the fact overshoot tenfold."""
    large, meter = model("word " * 30), Meter(Ledger())
    scope = BudgetScope(Budget(tokens=2000), "the run")
    calls = [meter.complete(large, ask(f"question {i}", max_tokens=60), owner=ME, scope=scope) for i in range(100)]
    results = await asyncio.gather(*calls, return_exceptions=True)
    spent = meter.ledger.total().total
    assert 1800 < spent <= 2000
    assert all(isinstance(result, BudgetExceeded) or result.text for result in results)
    assert sum(isinstance(result, BudgetExceeded) for result in results) > 50
    assert scope.spent.tokens == spent


async def test_a_limiter_lets_no_more_than_its_number_through() -> None:
    under_way = most = 0

    async def answer(request: Request) -> str:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0)
        under_way -= 1
        return "ok"

    large, meter = model(answer, concurrency=3), Meter(Ledger())
    await asyncio.gather(*(meter.complete(large, ask(str(i)), owner=ME) for i in range(20)))
    assert most == 3


def _instant(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Waiting takes no time, but is written down."""
    waits: list[float] = []
    sleep = asyncio.sleep

    async def instant(seconds: float) -> None:
        if seconds:
            waits.append(seconds)
        await sleep(0)

    monkeypatch.setattr("laconic.accounting.meter.asyncio.sleep", instant)
    return waits


@dataclass
class Branch:
    """A node of a random tree: its own budget, the calls it makes, the branches below it."""

    budget: int | None
    calls: list[tuple[int, str, bool, bool]]
    """(question, purpose, streamed, cancelled on the way)"""
    below: list[Branch] = field(default_factory=list)


CALLS = st.lists(
    st.tuples(st.integers(0, 6), st.sampled_from(["plan", "solve", "vote"]), st.booleans(), st.booleans()), max_size=4
)
TREES = st.recursive(
    st.builds(Branch, st.none() | st.integers(20, 400), CALLS),
    lambda inner: st.builds(Branch, st.none() | st.integers(20, 800), CALLS, st.lists(inner, max_size=3)),
    max_leaves=6,
)
ACCIDENTS: list[Callable[[], Any]] = [
    lambda: None,
    lambda: None,
    lambda: None,
    lambda: BackendUnreachable("down"),
    lambda: RateLimited("slow down", retry_after=0.0),
    lambda: ServerFailure("500"),
    lambda: BackendTimeout("too slow"),
    lambda: CutStream(2),
]


@settings(max_examples=80, deadline=None)
@given(TREES, st.lists(st.sampled_from(range(len(ACCIDENTS))), max_size=30), st.sampled_from([None, 1, 2]))
def test_any_tree_of_calls_adds_up_and_stays_behind_its_walls(
    tree: Branch, accidents: list[int], concurrency: int | None
) -> None:
    asyncio.run(_drive(tree, [ACCIDENTS[number]() for number in accidents], concurrency))


async def _drive(tree: Branch, failures: list[Any], concurrency: int | None) -> None:
    ledger, scopes = Ledger(), []
    with pytest.MonkeyPatch.context() as patch:
        _instant(patch)
        meter = Meter(ledger)
        roles = {
            role: model("one two three four", failures=failures[part::2], concurrency=concurrency)
            for part, role in enumerate("ab")
        }
        for role, metered in roles.items():
            metered.role = role

        async def call(
            owner: Owner, scope: BudgetScope | None, question: int, purpose: str, streamed: bool, cut: bool
        ) -> None:
            metered = roles["ab"[question % 2]]
            request = ask(f"question number {question}", max_tokens=10)
            on_delta = (lambda delta: None) if streamed else None
            task = asyncio.create_task(
                meter.complete(metered, request, owner=owner, purpose=purpose, scope=scope, on_delta=on_delta)
            )
            if cut:
                for _ in range(question):
                    await asyncio.sleep(0)
                task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        async def grow(branch: Branch, path: str, above: BudgetScope | None) -> None:
            scope = above
            if branch.budget is not None:
                scope = BudgetScope(Budget(tokens=branch.budget), path, parent=above)
                scopes.append((path, scope))
            await asyncio.gather(
                *(call(Owner("run", path), scope, *each) for each in branch.calls),
                *(grow(inner, f"{path}/{number}", scope) for number, inner in enumerate(branch.below)),
            )

        await grow(tree, "root", None)

    total = ledger.total()
    for keys in ("node", "purpose", "model", "status"):
        assert sum(ledger.by(keys).values(), start=type(total)()).total == total.total
    for path, scope in scopes:
        assert scope.reserved.tokens == 0
        assert scope.spent.tokens <= (scope.budget.tokens or 0)
        known = ledger.select(under=path).total().total
        assert known <= scope.spent.tokens, "what is unknown is booked at what was reserved, never below"
    attempts = [call for call in ledger.calls if call.status != "replayed"]
    sent = sum(len(metered.backend.requests) for metered in roles.values())  # type: ignore[attr-defined]  # scripted
    assert len(attempts) == sent, "every request that reached a server is one call, and nothing else is"
    known = [call for call in attempts if call.usage.total is not None]
    if len(known) == len(attempts):
        served = [await metered.backend.counters() for metered in roles.values()]
        assert sum(c.prompt + c.generated for c in served if c) == total.total, "the ledger is what the servers counted"
