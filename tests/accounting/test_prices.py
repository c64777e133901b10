from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from laconic.accounting import Price, activated
from laconic.backends.usage import NOTHING, UNKNOWN, Usage

dollars = st.decimals(0, 100, places=3)
prices = st.builds(
    Price, prompt=dollars, completion=dollars, cached=st.none() | dollars, cache_write=st.none() | dollars
)


def test_a_price_is_dollars_per_million_tokens_and_exact() -> None:
    price = Price.model_validate({"prompt": 0.15, "cached": 0.075, "completion": 0.6})
    assert price.cost(Usage(1_000_000, 1_000_000, 0, 0, 0)) == Decimal("0.75")
    assert price.cost(Usage(1000, 1, 400, 0, 0)) == Decimal("0.0000900") + Decimal("0.00003") + Decimal("0.0000006")
    assert price.cost(NOTHING) == 0


def test_cached_tokens_cost_as_much_as_others_unless_it_is_said() -> None:
    price = Price(prompt=1, completion=2)
    assert price.cost(Usage(100, 10, 60, 0, 0)) == price.cost(Usage(100, 10, 0, 0, 0)) == Decimal("0.00012")
    assert price.cost(Usage(100, 10)) == Decimal("0.00012")


def test_cache_writes_may_cost_more() -> None:
    price = Price(prompt=1, completion=0, cached="0.1", cache_write="1.25")
    assert price.cost(Usage(100, 0, 50, 40, 0)) == Decimal("0.000065")
    assert price.cost(Usage(100, 0, 50)) is None


def test_what_is_unknown_has_no_cost() -> None:
    price = Price(prompt=1, completion=2, cached="0.5")
    assert price.cost(UNKNOWN) is None
    assert price.cost(Usage(100, None, 0)) is None
    assert price.cost(Usage(100, 10)) is None
    assert price.least(Usage(100, 10)) == Decimal("0.00007")


@given(price=prices, prompt=st.integers(0, 10**6), completion=st.integers(0, 10**6), data=st.data())
def test_the_cost_lies_between_least_and_worst(price: Price, prompt: int, completion: int, data: st.DataObject) -> None:
    read = data.draw(st.integers(0, prompt))
    usage = Usage(prompt, completion, read, data.draw(st.integers(0, prompt - read)), 0)
    cost = price.cost(usage)
    assert cost is not None
    assert price.least(Usage(prompt, completion)) <= cost <= price.worst(prompt, completion)
    assert price.least(Usage(prompt, None)) <= cost
    assert price.least(UNKNOWN) == 0


@given(price=prices, money=st.decimals(0, 10, places=4), prompt=st.integers(0, 10**6))
def test_what_money_affords_it_pays_for_and_no_more(price: Price, money: Decimal, prompt: int) -> None:
    tokens = price.affords(money, prompt)
    if tokens is None:
        assert price.completion == 0
        assert price.worst(prompt, 10**9) <= money
    elif tokens < 0:
        assert price.worst(prompt, 0) > money
    else:
        assert price.worst(prompt, tokens) <= money < price.worst(prompt, tokens + 1)


@pytest.mark.parametrize("wrong", [{"prompt": -1, "completion": 1}, {"prompt": 1}, {"prompt": "nan", "completion": 1}])
def test_a_price_that_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Price.model_validate(wrong)


def test_activated_counts_what_the_model_computed() -> None:
    assert activated(Usage(1000, 100, 0, 0, 0), 8) == 8 * 1099, "nothing goes on with the last token"
    assert activated(Usage(1000, 100, 900, 0, 0), 1.5) == 1.5 * 199
    assert activated(Usage(1000, 0, 0, 0, 0), 8) == 8000
    assert activated(NOTHING, 8) == 0
    assert activated(Usage(1000, 100), 8) is None
    assert activated(UNKNOWN, 8) is None
