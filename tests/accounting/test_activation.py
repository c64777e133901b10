from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laconic.accounting import Call, Ledger, Total, activated_by
from laconic.accounting.database import Database
from laconic.backends.usage import NOTHING, UNKNOWN, Usage
from laconic.errors import InputError

Make = Callable[..., Call]

SIZES = {"small": 1.5e9, "large": 32e9}
ROUTER = 0.056e9


def routed(make: Make, kept: int, turns: int) -> list[Call]:
    """An answer in which the small model writes `kept` tokens a turn and one that the large model replaces."""
    calls, length, small_read, large_read = [], 100, 0, 0
    for _ in range(turns):
        calls.append(
            make(
                model="small",
                purpose="draft",
                finish_reason="cut",
                usage=Usage(length, kept + 1, small_read),
            )
        )
        length, small_read = length + kept, length + kept
        calls.append(make(model="large", purpose="decide", finish_reason="length", usage=Usage(length, 1, large_read)))
        large_read, length = length, length + 1
    return calls


def test_a_routed_answer_as_it_was_published_and_with_everything(make: Make) -> None:
    found = activated_by(routed(make, kept=9, turns=50), SIZES, router_parameters=ROUTER)
    small, large = found.models
    assert (small.written, small.replaced, small.generated, large.written) == (450, 50, 500, 50)
    assert found.as_published == pytest.approx(0.9 * 1.5e9 + 0.1 * 32e9), "a routed token is the large model's alone"
    # Both models read the prompt; then nearly every token goes through both. The router sees what the small one wrote.
    assert small.passes == 100 + 500 - 1
    assert large.passes == 100 + 500 - 1
    assert found.drafted == 500
    everything = 599 * (1.5e9 + 32e9) + 500 * ROUTER
    assert found.everything == pytest.approx(everything / 500)
    assert found.flops == pytest.approx(2 * everything)


def test_the_published_figure_of_r2r_follows(make: Make) -> None:
    calls = [make(0, 866, model="small", purpose="draft"), make(0, 134, model="large", purpose="decide")]
    published = activated_by(calls, SIZES).as_published
    assert published == pytest.approx(5.6e9, rel=0.01)


def test_rejected_and_failed_answers_are_work_and_nothing_written(make: Make) -> None:
    calls = [
        make(100, 11, model="small", status="discarded"),
        make(100, 1, model="large", status="failed"),
        make(100, 21, model="large"),
    ]
    found = activated_by(calls, SIZES)
    assert [(work.written, work.passes) for work in found.models] == [(0, 110), (21, 220)]
    assert found.as_published == 32e9
    assert found.everything == pytest.approx((110 * 1.5e9 + 220 * 32e9) / 21)


def test_an_answer_that_was_reused_counts_as_asked_for(make: Make) -> None:
    asked = make(100, 21, model="large")
    reused = make(model="large", status="replayed", usage=NOTHING, avoided=asked.usage)
    assert activated_by([reused], SIZES) == activated_by([asked], SIZES)


def test_an_answer_that_was_reused_and_then_discarded_counts_as_discarded(make: Make, tmp_path: Path) -> None:
    asked = make(100, 21, model="large", purpose="draft", request_hash="a", started=5.0)
    reused = make(
        model="large",
        purpose="draft",
        status="replayed",
        usage=NOTHING,
        avoided=asked.usage,
        request_hash="b",
        started=6.0,
    )
    path = tmp_path / "calls.db"
    with Database(path) as database:
        ledger = Ledger(database)
        for call in (asked, reused):
            ledger.append(call)
            ledger.discard_call(call)
    sent, spared = Ledger.load(path).calls
    assert ledger.calls == [sent, spared]
    assert (sent.status, spared.status, sent.sent, spared.sent) == ("discarded", "discarded", True, False)
    assert activated_by([spared], SIZES) == activated_by([sent], SIZES)
    assert Ledger.load(path).view("published:rewoo").total.total == 0
    assert (Total.of([spared]).replayed, Total.of([spared]).total, Total.of([spared], virtual=True).total) == (
        1,
        0,
        121,
    )


def test_a_call_of_which_too_little_is_known_makes_a_lower_bound(make: Make) -> None:
    found = activated_by([make(100, 21, model="large"), make(model="large", usage=UNKNOWN)], SIZES)
    assert found.lower_bound
    assert (found.models[0].calls, found.models[0].unsaid, found.models[0].passes) == (2, 1, 120)


def test_without_an_answer_there_is_no_figure_a_token() -> None:
    found = activated_by([], SIZES)
    assert (found.as_published, found.everything, found.flops) == (None, None, 0)


def test_a_model_of_unknown_size_is_named(make: Make) -> None:
    with pytest.raises(InputError, match=r"'tiny' \(role 'judge'\).*`parameters`, ROLE=NUMBER"):
        activated_by([make(model="small"), make(model="judge", served="tiny")], SIZES)
    assert activated_by([make(model="judge", served="tiny")], {"tiny": 1e6}).models[0].parameters == 1e6


@given(data=st.data(), router=st.floats(0, 1e9))
def test_flops_add_up(known_calls: st.SearchStrategy[list[Call]], data: st.DataObject, router: float) -> None:
    one, other = data.draw(known_calls), data.draw(known_calls)
    first, second, both = (activated_by(calls, SIZES, router_parameters=router) for calls in (one, other, one + other))
    assert both.flops == pytest.approx(first.flops + second.flops)
    assert both.written == first.written + second.written
    assert not both.lower_bound


@given(data=st.data(), router=st.floats(0, 1e9))
def test_everything_is_never_less_than_what_is_published(
    known_calls: st.SearchStrategy[list[Call]], data: st.DataObject, router: float
) -> None:
    """Where each call that generates reads at least a token, as it must to know what comes next."""
    calls = [
        call
        for call in data.draw(known_calls)
        if (usage := call.avoided or call.usage).prompt != usage.cache_read or not usage.completion
    ]
    found = activated_by(calls, SIZES, router_parameters=router)
    assert all(work.written + work.replaced <= work.generated <= work.passes for work in found.models)
    if found.as_published is not None and found.everything is not None:
        assert found.everything >= found.as_published * (1 - 1e-9)
