from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laconic.accounting import Call, Price, Total, register_view, view, view_names
from laconic.backends.usage import NOTHING, UNKNOWN, Usage
from laconic.errors import LedgerError

Make = Callable[..., Call]


@pytest.fixture
def calls(make: Make) -> list[Call]:
    return [
        make(100, 20, purpose="plan"),
        make(40, 10, purpose="tool"),
        make(30, 4, purpose="solve", status="failed"),
        make(usage=UNKNOWN, purpose="solve", status="aborted"),
        make(200, 8, purpose="solve", attempt=2),
        make(usage=NOTHING, purpose="act", status="replayed", attempt=0, avoided=Usage(50, 5)),
    ]


def test_the_rewoo_view_counts_as_the_paper_did_and_says_what_it_leaves_out(calls: list[Call]) -> None:
    seen = view("published:rewoo", calls)
    assert (seen.total.prompt, seen.total.completion, seen.total.calls) == (350, 33, 3)
    assert seen.honest == Total.of(calls)
    assert seen.leaves_out == (
        "1 calls that tools made to models: 50 tokens",
        "2 calls that failed, were cut off or discarded: ≥ 34 tokens",
    )
    assert "383 tokens (honest: ≥ 412)" in seen.show()
    assert "leaves out 1 calls that tools" in seen.show()


def test_where_nothing_is_left_out_nothing_is_named(make: Make) -> None:
    seen = view("published:rewoo", [make(100, 20)])
    assert seen.leaves_out == ()
    assert seen.total == seen.honest


def test_the_honest_view_is_the_total(calls: list[Call]) -> None:
    seen = view("honest", calls)
    assert seen.total == seen.honest == Total.of(calls)


def test_views_know_prices(make: Make) -> None:
    prices = {"large": Price(prompt=1, completion=1)}
    seen = view("published:rewoo", [make(600_000, 400_000), make(1_000_000, 0, purpose="tool")], prices)
    assert (seen.total.cost, seen.honest.cost) == (1, 2)


def test_an_unknown_view_is_told_what_there_is() -> None:
    assert set(view_names()) >= {"honest", "published:rewoo"}
    with pytest.raises(LedgerError, match="no view 'rewoo'; there are honest, published:autoform, published:"):
        view("rewoo", [])


def test_a_view_of_ones_own(calls: list[Call], monkeypatch: pytest.MonkeyPatch) -> None:
    from laconic.accounting import views

    monkeypatch.setattr(views, "_VIEWS", dict(views._VIEWS))

    @register_view("only plans", "what planning costs")
    def plans(calls: Sequence[Call], prices: Mapping[str, Price] | None) -> tuple[Total, tuple[str, ...]]:
        return Total.of([call for call in calls if call.purpose == "plan"], prices), ("everything else",)

    seen = view("only plans", calls)
    assert (seen.total.total, seen.description) == (120, "what planning costs")


@given(data=st.data())
def test_the_rewoo_view_and_what_it_leaves_out_make_the_honest_sum(
    data: st.DataObject, any_calls: st.SearchStrategy[list[Call]]
) -> None:
    calls = data.draw(any_calls)
    seen = view("published:rewoo", calls)
    left = [call for call in calls if call.status not in ("ok", "replayed") or call.purpose == "tool"]
    assert seen.total.total + Total.of(left).virtual_total == seen.honest.virtual_total
    assert seen.total.calls + len(left) == seen.honest.calls
