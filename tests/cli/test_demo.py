"""`laconic demo` on a server that answers nonsense: what is shown, and what happens where nothing can be proved."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from laconic.accounting.call import Call, Status
from laconic.accounting.ledger import Ledger
from laconic.backends import Usage
from laconic.backends.backend import Counters
from laconic.cli.proof import show_proof
from laconic.workflows import folder

Laconic = Callable[..., Result]


def test_each_question_is_answered_by_each_method_and_billed(laconic: Laconic, server, here: Path) -> None:
    result = laconic("demo", "--questions", "2", "--model", f"{server.url}#served")
    assert result.exit_code == 0, result.output
    told = result.stdout
    for method in ("direct", "react", "rewoo"):
        assert sum(line[5:].startswith(method) for line in told.splitlines()) == 2
    assert told.count("right answer:") == 2
    assert "against direct, paired" in told
    assert "the bill of rewoo for question" in told
    assert "answer/plan" in told
    assert "publishes no counters" in told
    total = Ledger.load(here / ".laconic" / "laconic.db").total()
    assert total.total == 15 * len(server.asked)


def test_the_ready_flows_are_there() -> None:
    assert {path.stem for path in folder().glob("*.yaml")} >= {"direct", "cot", "react", "rewoo"}
    assert (folder() / "data" / "questions.jsonl").is_file()


def booked(*calls: tuple[Status, int, int, int]) -> Ledger:
    ledger = Ledger()
    for status, prompt, cached, completion in calls:
        usage = Usage(prompt, completion, cached, 0, 0, "server" if status == "ok" else "counted")
        ledger.append(Call(run="r", model="m", status=status, usage=usage))
    return ledger


BEFORE = Counters(1000, 1000, 1000)


@pytest.mark.parametrize(
    ("after", "said", "proved"),
    [
        (Counters(1030, 1070, 1010), "they are equal, to the token", True),
        (Counters(1031, 1070, 1010), "NOT explained: prompt", False),
        (Counters(1030, 1069, 1010), "NOT explained: prompt, cached", False),
        (Counters(1030, 1070, 1011), "residual +1\n", False),
    ],
)
def test_one_token_of_difference_is_no_proof(
    after: Counters, said: str, proved: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger = booked(("ok", 60, 40, 4), ("ok", 40, 30, 6))
    assert show_proof(ledger.reconcile(BEFORE, after)) is proved
    assert said in capsys.readouterr().out


def test_what_was_cut_off_explains_what_a_server_does_not_count_of_it_and_no_more(
    capsys: pytest.CaptureFixture[str],
) -> None:
    ledger = booked(("ok", 60, 40, 4), ("aborted", 40, 30, 6))
    assert show_proof(ledger.reconcile(BEFORE, Counters(1030, 1070, 1004)))
    told = capsys.readouterr().out
    assert "residual -6" in told
    assert "cut short: 1 aborted" in told
    assert "the residual is explained" in told
    assert not show_proof(ledger.reconcile(BEFORE, Counters(1030, 1070, 1003)))
