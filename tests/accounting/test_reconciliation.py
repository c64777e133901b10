from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from laconic.accounting import Call, Figures, Reconciliation, Total, reconcile
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
    (cut,) = {line for line in lines if "cut short: 1 aborted, 1 timeout (in answer/E2, answer/E3)" in line}
    assert cut.endswith("what could be counted here: prompt ≥ 80, completion ≥ 7")
    assert result.explained
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
    (cause,) = [line for line in result.explain() if line.startswith("  ")]
    assert cause.startswith(
        "  others: calls that did not go through this ledger (other clients, runs or warm-up requests)"
    )
    assert not result.explained


def test_cached_tokens_that_a_server_does_not_report_are_named(make: Make) -> None:
    result = reconcile([make(usage=Usage(100, 20)), make(usage=Usage(100, 20))], START, moved(120, 80, 40))
    assert result.residual == Figures(0, 80, 0)
    assert any("unknown: of 2 calls the ledger does not know the cached tokens" in line for line in result.explain())


def test_a_ledger_with_more_than_the_server_says_so(make: Make) -> None:
    result = reconcile([make(100, 20)], START, moved(90, 0, 20))
    assert "prompt: server 90, ledger 100, residual -10" in result.explain()
    assert any("this server did not answer" in line for line in result.explain())
    assert not result.explained


def test_a_restarted_server_proves_nothing(make: Make) -> None:
    result = reconcile([make(100, 20)], START, Counters(100, 0, 20))
    assert not result.closed
    assert not result.explained
    assert any("restarted" in line for line in result.explain())


def test_replayed_calls_are_no_business_of_the_server(make: Make) -> None:
    replayed = make(usage=NOTHING, status="replayed", avoided=Usage(100, 20))
    assert reconcile([make(100, 20), replayed], START, moved(100, 0, 20)).closed


class TestCauses:
    """A server that counts its requests too, and what that says of a residual."""

    def held(self, calls: list[Call], prompt: int, requests: int, samples: int | None = None) -> Reconciliation:
        before = msgspec.structs.replace(START, requests=10, samples=10)
        moved_to = Counters(1000 + prompt, 500, 110, 10 + requests, 0, 10 + (requests if samples is None else samples))
        return reconcile(calls, before, moved_to)

    def test_other_clients_are_counted_exactly_where_no_call_was_cut_short(self, make: Make) -> None:
        result = self.held([make(100, 10), make(usage=NOTHING, status="failed")], prompt=160, requests=4)
        assert (result.others, result.explained) == (3, True)
        assert "  other clients: 3 requests that this ledger did not send" in result.explain()

    def test_a_call_that_was_cut_short_may_have_been_finished(self, make: Make) -> None:
        calls = [make(100, 10), make(usage=UNKNOWN, status="timeout")]
        assert self.held(calls, prompt=160, requests=2).others == 0
        assert self.held(calls, prompt=160, requests=1).explained
        result = self.held(calls, prompt=160, requests=4)
        assert result.others == 2
        assert any("other clients: at least 2 requests" in line for line in result.explain())

    def test_tokens_that_no_request_accounts_for_are_not_explained(self, make: Make) -> None:
        result = self.held([make(100, 10)], prompt=160, requests=1)
        assert not result.explained
        assert result.unexplained == ("prompt",)
        assert any("no other client's request was finished" in line for line in result.explain())

    def test_requests_for_several_answers_are_named(self, make: Make) -> None:
        result = self.held([make(100, 10)], prompt=160, requests=2, samples=5)
        assert any("asked for 3 further answers" in line for line in result.explain())

    def test_calls_that_another_server_answered_are_seen(self, make: Make) -> None:
        result = self.held([make(100, 4), make(100, 6)], prompt=100, requests=1)
        assert not result.explained
        assert any("answered by another server" in line for line in result.explain())

    @pytest.mark.parametrize(("prompt", "explained"), [(160, True), (90, False)])
    def test_a_server_still_at_work_can_only_have_more(self, make: Make, prompt: int, explained: bool) -> None:
        result = reconcile([make(100, 10)], START, moved(prompt, 0, 10), busy=True)
        assert result.explained is explained
        assert any("still at work" in line for line in result.explain())

    def test_a_server_need_not_count_what_was_cut_short_but_all_else(self, make: Make) -> None:
        calls = [make(100, 10), make(usage=Usage(80, 7, 0, source="counted"), status="aborted")]
        assert reconcile(calls, START, moved(180, 0, 10)).explained
        assert not reconcile(calls, START, moved(180, 0, 9)).explained

    def test_many_nodes_are_not_all_named(self, make: Make) -> None:
        calls = [make(usage=UNKNOWN, status="aborted", node=f"each[{number}]") for number in range(20)]
        calls.append(make(usage=UNKNOWN, status="aborted", node="each[0]"))
        (line,) = [line for line in reconcile(calls, START, moved(5, 0, 0)).explain() if "cut short" in line]
        assert "(in each[0] 2 times, each[1]," in line
        assert "each[7], 12 more nodes)" in line

    @given(data=st.data())
    def test_a_residual_is_server_minus_ledger_and_explained_only_by_a_cause(
        self, data: st.DataObject, any_calls: st.SearchStrategy[list[Call]]
    ) -> None:
        calls = data.draw(any_calls)
        total = Total.of(calls)
        near = st.integers(-3, 3)
        figures = [
            total.prompt - total.cache_read + data.draw(near),
            total.cache_read + data.draw(near),
            total.completion + data.draw(near),
        ]
        requests = data.draw(st.none() | st.integers(0, len(calls) + 2))
        counted = Counters(*figures, requests, requests and 0, requests)
        busy = data.draw(st.booleans())
        result = reconcile(calls, Counters(0, 0, 0, 0, 0, 0), counted, busy=busy)
        assert result.residual == Figures(
            figures[0] + figures[1] - total.prompt, figures[1] - total.cache_read, figures[2] - total.completion
        )
        assert result.closed is (result.residual == Figures(0, 0, 0))
        assert not result.closed or result.explained
        for name in ("prompt", "cached", "completion"):
            accounting = [cause for cause in result.causes(name) if cause.accounts]
            if getattr(result.residual, name):
                assert result.causes(name), "every residual has at least a place to look"
                assert accounting or not result.explained
            else:
                assert not result.causes(name)
        anything_seen = result.unsettled or result.others or busy or result.total.unknown
        assert result.closed or anything_seen or not result.explained
