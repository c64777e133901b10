"""Sums are the same however calls are grouped, and what is unknown makes them lower bounds, never smaller facts."""

from __future__ import annotations

import random
from collections.abc import Callable
from decimal import Decimal
from functools import reduce
from operator import add
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from laconic.accounting import Call, Ledger, Price, Total
from laconic.backends.usage import NOTHING, UNKNOWN, Usage

Make = Callable[..., Call]
Calls = st.SearchStrategy[list[Call]]
PRICES = {"small": Price(prompt="0.1", completion="0.4", cached="0.025"), "large": Price(prompt=2, completion=8)}
FIELDS = ("prompt", "completion", "cache_read", "cache_write", "reasoning", "uncached", "cost")


def same(one: Total, other: Total) -> bool:
    """Equal; seconds as close as adding floats in another order gets."""
    close = pytest.approx(one.seconds) == other.seconds
    return close and msgspec.structs.replace(one, seconds=0.0) == msgspec.structs.replace(other, seconds=0.0)


@given(data=st.data())
def test_sums_by_anything_add_up_to_the_total(data: st.DataObject, any_calls: Calls) -> None:
    ledger = Ledger(prices=PRICES)
    for call in data.draw(any_calls):
        ledger.append(call)
    keys: Any = ("node", "purpose", "model", "agent", "status", "item", "run", "served", "source")
    for key in keys:
        assert same(reduce(add, ledger.by(key).values(), Total()), ledger.total())
    assert same(reduce(add, ledger.by("model", "status", "node").values(), Total()), ledger.total())
    assert same(ledger.total(run="r1") + ledger.total(run="r2"), ledger.total())


@given(data=st.data())
def test_totals_of_parts_add_up_in_any_order(data: st.DataObject, any_calls: Calls) -> None:
    calls = data.draw(any_calls)
    cut = data.draw(st.integers(0, len(calls)))
    whole = Total.of(calls, PRICES)
    assert same(Total.of(calls[:cut], PRICES) + Total.of(calls[cut:], PRICES), whole)
    assert same(Total.of(calls[cut:], PRICES) + Total.of(calls[:cut], PRICES), whole)
    assert Total.of(calls, PRICES) + Total() == whole


@given(data=st.data(), seed=st.integers(0, 2**32))
def test_what_is_unknown_gives_a_lower_bound_that_says_so(data: st.DataObject, seed: int, known_calls: Calls) -> None:
    true = data.draw(known_calls)
    chance = random.Random(seed)

    def hidden(usage: Usage) -> Usage:
        names = ("prompt", "completion", "cache_read", "cache_write", "reasoning")
        return msgspec.structs.replace(usage, **{name: None for name in names if chance.random() < 0.2})

    told = [
        msgspec.structs.replace(
            call,
            usage=call.usage if call.usage is NOTHING else hidden(call.usage),
            avoided=None if call.avoided is None else hidden(call.avoided),
        )
        for call in true
    ]
    fact, bound = Total.of(true, PRICES), Total.of(told, PRICES)
    for field in (*FIELDS, "avoided_prompt", "avoided_completion", "total", "virtual_total"):
        if field in ("uncached",) and "cache_write" in bound.unknown:
            continue  # a server that does not bill cache writes leaves them out; they are then taken for uncached
        assert getattr(bound, field) <= getattr(fact, field)
        if not bound.at_least(field):
            assert getattr(bound, field) == getattr(fact, field)
            assert "≥" not in bound.show(field)


@given(data=st.data())
def test_leaves_add_up_to_the_total(data: st.DataObject, known_calls: Calls) -> None:
    total = Total.of(data.draw(known_calls))
    assert total.unknown.keys() <= {"cost"}
    assert total.uncached + total.cache_read + total.cache_write == total.prompt
    assert total.virtual_total == total.total + total.avoided_prompt + total.avoided_completion
    assert total.reasoning <= total.completion


def test_a_total_shows_what_kind_of_figure_it_is(make: Make) -> None:
    assert Total.of([make(1000, 234)]).show("total") == "1,234"
    assert Total.of([make(1000, 234), make(None, 1)]).show("total") == "≥ 1,235"
    assert Total.of([make(1000, 234), make(None, 1)]).show("completion") == "235"
    assert Total.of([make(usage=Usage(1000, 234, source="estimated"))]).show("total") == "≈ 1,234"
    both = [make(usage=Usage(1000, 234, source="estimated")), make(usage=UNKNOWN)]
    assert Total.of(both).show("total") == "≳ 1,234"
    assert Total.of([make(usage=UNKNOWN)]).show("total") == "unknown"
    assert Total.of([make(usage=Usage(10, 5))]).show("cache_read") == "unknown"
    assert Total().show("total") == "0"
    assert Total.of([make(seconds=1.25), make(seconds=1.5)]).show("seconds") == "2.8 s"


def test_estimates_and_counts_of_our_own_are_counted(make: Make) -> None:
    total = Total.of(
        [
            make(),
            make(usage=Usage(5, 1, 0, 0, 0, "counted")),
            make(usage=Usage(5, 1, source="estimated")),
            make(usage=UNKNOWN),
            make(usage=NOTHING, status="failed"),
        ]
    )
    assert (total.calls, total.counted, total.estimated) == (5, 1, 1)
    assert total.unknown["prompt"] == 1


def test_replayed_calls_are_virtual_tokens_only(make: Make) -> None:
    total = Total.of([make(100, 20), make(usage=NOTHING, status="replayed", attempt=0, avoided=Usage(100, 20))])
    assert (total.calls, total.sent, total.replayed) == (2, 1, 1)
    assert (total.total, total.virtual_total) == (120, 240)
    assert (total.virtual_prompt, total.virtual_completion) == (200, 40)
    assert total.show("virtual_total") == "240"


@given(data=st.data())
def test_a_virtual_sum_is_the_sum_of_the_same_calls_without_a_store(data: st.DataObject, any_calls: Calls) -> None:
    calls = data.draw(any_calls)
    asked = [call if call.avoided is None else make_sent(call, call.avoided) for call in calls]
    assert Total.of(calls, PRICES, virtual=True) == Total.of(asked, PRICES)
    assert Total.of(calls, virtual=True).total == Total.of(calls).virtual_total


def make_sent(call: Call, usage: Usage) -> Call:
    return msgspec.structs.replace(call, usage=usage, avoided=None, status="ok")


def test_cost_is_exact_and_unknown_without_a_price(make: Make) -> None:
    calls = [make(1_000_000, 100, model="small"), make(10, 10, model="large")]
    assert Total.of(calls, PRICES).cost == Decimal("0.1") + Decimal("0.00004") + Decimal("0.0001")
    assert Total.of(calls, PRICES).show("cost") == "$0.100140"
    assert Total.of(calls, {"small": PRICES["small"]}).show("cost") == "≥ $0.100040"
    assert Total.of(calls).show("cost") == "unknown"
    free = make(usage=NOTHING, status="replayed", avoided=Usage(5, 5))
    assert not Total.of([free]).at_least("cost")
    assert Total.of([make(10, 10, model="x", served="large")], PRICES).cost == Decimal("0.0001")


def test_a_million_calls_cost_exactly_a_million_times_one(make: Make) -> None:
    once = Total.of([make(1, 0, model="small")], PRICES)
    total = Total.of([make(1, 0, model="small")] * 1000, PRICES)
    assert total.cost == 1000 * once.cost == Decimal("0.0001")
