from __future__ import annotations

from collections.abc import Callable

from laconic.accounting import Call, Figures, reconcile
from laconic.backends.backend import Counters
from laconic.backends.usage import NOTHING, UNKNOWN, Usage

Make = Callable[..., Call]
START = Counters(1000, 500, 100)


def moved(computed: int, cached: int, generated: int) -> Counters:
    return Counters(START.computed + computed, START.cached + cached, START.generated + generated)


def test_equal_sides_are_closed(make: Make) -> None:
    calls = [make(usage=Usage(100, 20, 60, 0, 0)), make(50, 5), make(usage=NOTHING, status="failed")]
    result = reconcile(calls, START, moved(90, 60, 25))
    assert result.server == result.ledger == Figures(150, 60, 25)
    assert result.closed
    assert result.explain()[-1] == "closed: the ledger equals the server's counters to the token"
    assert not any("residual" in line for line in result.explain())


def test_the_same_tokens_elsewhere_are_not_closed(make: Make) -> None:
    assert not reconcile([make(100, 20)], START, moved(50, 50, 20)).closed


def test_an_aborted_stream_is_named_as_the_residual(make: Make) -> None:
    calls = [
        make(100, 20),
        make(usage=Usage(80, 7, source="counted"), node="answer/E2", status="aborted"),
        make(usage=UNKNOWN, node="answer/E3", status="timeout"),
    ]
    result = reconcile(calls, START, moved(260, 0, 31))
    assert result.residual == Figures(80, 0, 4)
    assert result.unsettled == {"aborted": 1, "timeout": 1}
    lines = result.explain()
    assert "prompt: server 260, ledger 180, residual +80" in lines
    assert any("cut short: 1 aborted, 1 timeout (in answer/E2, answer/E3)" in line for line in lines)
    assert any("unknown: of 1 calls" in line and "prompt" in line for line in lines)
    assert any("the tokens of 1 calls were counted here" in line for line in lines)
    assert "cached: 0 in the server's counters and in the ledger" in lines


def test_a_stream_that_broke_off_counts_as_cut_short(make: Make) -> None:
    broken = make(usage=Usage(80, 7, source="counted"), finish_reason="cut")
    assert reconcile([broken], START, moved(80, 0, 9)).unsettled == {"ok": 1}


def test_failures_that_certainly_cost_nothing_explain_nothing(make: Make) -> None:
    refused = make(usage=NOTHING, status="failed")
    reported = make(30, 4, status="failed")
    result = reconcile([refused, reported], START, moved(40, 0, 4))
    assert result.unsettled == {}
    assert [line for line in result.explain() if line.startswith("  ")] == [
        "  others: calls that did not go through this ledger (other clients, runs or warm-up requests)"
    ]


def test_cached_tokens_that_a_server_does_not_report_are_named(make: Make) -> None:
    result = reconcile([make(usage=Usage(100, 20)), make(usage=Usage(100, 20))], START, moved(120, 80, 40))
    assert result.residual == Figures(0, 80, 0)
    assert any("unknown: of 2 calls the ledger does not know the cached tokens" in line for line in result.explain())


def test_a_ledger_with_more_than_the_server_says_so(make: Make) -> None:
    result = reconcile([make(100, 20)], START, moved(90, 0, 20))
    assert "prompt: server 90, ledger 100, residual -10" in result.explain()
    assert any("this server did not answer" in line for line in result.explain())


def test_a_restarted_server_proves_nothing(make: Make) -> None:
    result = reconcile([make(100, 20)], START, Counters(100, 0, 20))
    assert not result.closed
    assert any("restarted" in line for line in result.explain())


def test_replayed_calls_are_no_business_of_the_server(make: Make) -> None:
    replayed = make(usage=NOTHING, status="replayed", avoided=Usage(100, 20))
    assert reconcile([make(100, 20), replayed], START, moved(100, 0, 20)).closed
