from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from laconic.accounting import Call, Database, Ledger, Price, Total
from laconic.backends.backend import Counters
from laconic.backends.usage import NOTHING, Usage
from laconic.errors import LedgerError

Make = Callable[..., Call]


@pytest.fixture
def ledger(make: Make) -> Ledger:
    """Two runs: a plan and two steps in one, of which the second failed once; one plan in the other."""
    ledger = Ledger(prices={"large": Price(prompt=1, completion=2)})
    for call in (
        make(100, 30, node="answer/plan", purpose="plan"),
        make(50, 5, node="answer/E1", purpose="tool", model="small"),
        make(50, None, node="answer/E2", purpose="tool", model="small", status="failed", error="cut"),
        make(50, 6, node="answer/E2", purpose="tool", model="small", attempt=2),
        make(70, 9, run="r2", node="answers/plan", purpose="plan"),
    ):
        ledger.append(call)
    return ledger


def test_calls_stay_in_order(ledger: Ledger) -> None:
    assert [call.node for call in ledger.calls] == [
        "answer/plan", "answer/E1", "answer/E2", "answer/E2", "answers/plan",
    ]  # fmt: skip


def test_totals_by_one_key_are_named_by_words(ledger: Ledger) -> None:
    spent = ledger.by("node")
    assert list(spent) == ["answer/plan", "answer/E1", "answer/E2", "answers/plan"]
    assert spent["answer/E2"].show("completion") == "≥ 6"
    assert spent["answer/E2"].calls == 2
    assert ledger.by("run")["r2"].total == 79


def test_totals_by_several_keys_are_named_by_tuples(ledger: Ledger) -> None:
    spent = ledger.by("model", "status")
    assert list(spent) == [("large", "ok"), ("small", "ok"), ("small", "failed")]
    assert spent["small", "ok"].prompt == 100
    assert set(ledger.by("source")) == {"server"}


def test_filters_take_one_value_or_several(ledger: Ledger) -> None:
    assert ledger.total(purpose="plan").calls == 2
    assert ledger.total(purpose="plan", run="r1").calls == 1
    assert ledger.total(status=("failed", "timeout")).prompt == 50
    assert ledger.total(run=["r1", "r2"]).calls == 5
    assert ledger.total(run="r3").calls == 0
    assert list(ledger.by("node", purpose="tool")) == ["answer/E1", "answer/E2"]


def test_under_takes_a_node_with_what_is_below_it(ledger: Ledger, make: Make) -> None:
    assert ledger.total(under="answer").calls == 4
    assert ledger.total(under="answer/E1").calls == 1
    ledger.append(make(node="answer[3]/plan"))
    ledger.append(make(node="answer"))
    assert ledger.total(under="answer").calls == 6
    with pytest.raises(LedgerError, match="one node path"):
        ledger.total(under=["answer"])


def test_an_unknown_key_is_told_what_there_is(ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match="no 'nodes' to filter or group by; it has run, node, item"):
        ledger.total(nodes="answer")
    by: Any = ledger.by
    with pytest.raises(LedgerError, match="no 'prompt'"):
        by("prompt")


def test_select_is_a_ledger_of_its_own(ledger: Ledger, make: Make) -> None:
    mine = ledger.select(run="r2")
    assert [call.run for call in mine.calls] == ["r2"]
    assert mine.total().cost == ledger.by("run")["r2"].cost > 0
    mine.append(make())
    assert len(ledger.calls) == 5


def test_a_frame_has_a_row_a_call_and_keeps_unknown_apart_from_zero(ledger: Ledger) -> None:
    frame = ledger.frame()
    assert len(frame) == 5
    assert frame.groupby("purpose")["prompt"].sum().to_dict() == {"plan": 170, "tool": 150}
    assert frame["completion"].isna().sum() == 1
    assert frame["completion"].sum() == 50
    assert str(frame["prompt"].dtype) == "Int64"
    assert frame["avoided_prompt"].isna().all()
    assert str(frame["instruction"].dtype) == "Int64"
    assert len(Ledger().frame()) == 0


def test_without_pandas_a_frame_says_what_to_install(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(LedgerError, match=r"pip install 'laconic\[eval\]'"):
        ledger.frame()


def test_views_and_reconciliation_take_filters(ledger: Ledger) -> None:
    view = ledger.view("published:rewoo", run="r1")
    assert (view.total.total, view.honest.calls) == (130, 4)
    assert ledger.reconcile(Counters(0, 0, 0), Counters(170, 0, 39), model="large").closed
    assert not ledger.reconcile(Counters(0, 0, 0), Counters(170, 0, 39)).closed


def test_a_ledger_with_a_file_comes_back_from_it(ledger: Ledger, make: Make, tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    kept = Ledger(Database(path))
    for call in ledger.calls:
        kept.append(call)
    replayed = make(usage=NOTHING, status="replayed", attempt=0, avoided=Usage(7, 1, None, 0, 0, "counted"))
    kept.append(replayed)
    kept.flush()
    assert Ledger.load(path).calls == [*ledger.calls, replayed]
    kept.close()
    kept.close()
    assert Ledger.load(path).calls == kept.calls
    assert [call.node for call in Ledger.load(path, run="r2").calls] == ["answers/plan"]
    assert Ledger.load(path, run="no such run").calls == []
    with pytest.raises(LedgerError, match="closed"):
        kept.append(replayed)


def test_in_memory_there_is_nothing_to_flush(ledger: Ledger) -> None:
    ledger.flush()
    ledger.close()
    assert len(ledger.calls) == 5


def test_discarded_answers_keep_their_tokens_and_say_so(make: Make) -> None:
    ledger = Ledger()
    before = [
        make(100, 30, node="answer/basic/draft", item="1"),
        make(9, 1, node="answer/basic", item="1", status="failed", error="cut"),
        make(80, 20, node="answer/basic[0]", item="1"),
        make(70, 10, node="answer/basic2", item="1"),
        make(60, 10, node="answer/basic", item="2"),
        make(50, 10, node="answer/basic", item="1", run="r2"),
    ]
    for call in before:
        ledger.append(call)
    total = ledger.total()
    ledger.discard(run="r1", item="1", node="answer/basic")
    ledger.append(make(40, 10, node="answer/basic", item="1", started=time.time() + 1))
    assert [call.status for call in ledger.calls] == ["discarded", "failed", "discarded", "ok", "ok", "ok", "ok"]
    assert ledger.total(status="discarded").total == 230
    assert ledger.total() == total + Total.of(ledger.calls[-1:])
