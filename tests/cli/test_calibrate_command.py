"""`laconic calibrate`, and what `laconic ledger` makes of its file."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import Result

from laconic.accounting import Calibration, load_calibration, save_calibration
from laconic.accounting.call import Call
from laconic.accounting.database import Database
from laconic.accounting.ledger import Ledger
from laconic.accounting.runs import RunRecord
from laconic.backends import Completion, Request, Usage
from laconic.backends.request import OnDelta
from laconic.backends.scripted import ScriptedBackend
from laconic.backends.tokenizers import shipped
from laconic.backends.usage import NOTHING
from laconic.cli.measuring import IDS

Laconic = Callable[..., Result]
Book = Callable[[], Ledger]

ENDLESS = "word " * 100


def flow(answer: str = ENDLESS, context: int = 4096) -> str:
    model = f"{{backend: scripted, model: s/1, context: {context}, parameters: 1.5, options: {{answer: '{answer}'}}}}"
    return f"name: one\nmodels: {{large: {model}}}\nnodes: {{answer: {{kind: prompt, prompt: hi}}}}\n"


@pytest.fixture
def one(here: Path) -> Path:
    (here / "one.yaml").write_text(flow())
    return here / "one.yaml"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Request]:
    """What a scripted model is asked. A prompt token takes a second by the clock, and an answer none."""
    requests: list[Request] = []
    clock = 0.0
    answers = ScriptedBackend.complete

    async def complete(self: ScriptedBackend, request: Request, on_delta: OnDelta | None = None) -> Completion:
        nonlocal clock
        requests.append(request)
        clock += len(request.prompt_token_ids or ())
        return await answers(self, request, on_delta)

    monkeypatch.setattr(ScriptedBackend, "complete", complete)
    monkeypatch.setattr("laconic.accounting.meter.time", SimpleNamespace(time=time.time, perf_counter=lambda: clock))
    return requests


def test_prompts_of_several_lengths_are_asked_one_at_a_time_and_none_is_in_a_cache(
    laconic: Laconic, book: Book, one: Path
) -> None:
    result = laconic("calibrate", "large", "--flow", "one.yaml", "--repeats", "2")
    assert result.exit_code == 0, result.stderr
    calls = book().calls
    asked = [(call.usage.prompt, call.usage.completion) for call in calls]
    turn = [(32, 1), (128, 1), (512, 1), (1024, 1), (2048, 1), (512, 8), (512, 40)]
    assert asked == [(32, 8), *turn, *turn]
    assert {call.purpose for call in calls} == {"calibrate"}
    assert {call.usage.cache_read for call in calls} == {0}, "no two prompts begin alike"
    assert all(before.started + before.seconds <= after.started for before, after in pairwise(calls))


def test_it_is_shown_and_saved_beside_the_ledger(laconic: Laconic, book: Book, one: Path, here: Path) -> None:
    result = laconic("calibrate", "large", "--flow", "one.yaml", "--repeats", "1", "--device", "an abacus")
    saved = load_calibration(here / ".laconic" / "calibration-s-1.json")
    assert [tokens for tokens, _ in saved.prefill] == [32, 128, 512, 1024, 2048]
    assert (saved.model, saved.parameters, saved.device) == ("s/1", 1_500_000_000, "an abacus")
    assert saved.run == book().calls[0].run
    lines = result.stdout.splitlines()
    assert [line.split()[0] for line in lines[1:6]] == ["32", "128", "512", "1,024", "2,048"]
    assert lines[6].startswith("a generated token: ")
    assert ".laconic/calibration-s-1.json" in result.stderr


def test_the_run_is_remembered_and_audited(laconic: Laconic, one: Path) -> None:
    laconic("calibrate", "large", "--flow", "one.yaml", "--repeats", "1")
    (run,) = json.loads(laconic("runs", "--json").stdout)
    assert (run["flow"], run["status"]) == ("calibrate", "ok")
    assert laconic("audit").exit_code == 0
    again = laconic("run", "--resume", "last")
    assert again.exit_code == 2
    assert "`laconic calibrate`, which begins anew" in again.stderr


def test_a_small_context_takes_fewer_lengths_and_too_small_a_one_none(laconic: Laconic, here: Path) -> None:
    (here / "one.yaml").write_text(flow(context=600))
    found = json.loads(laconic("calibrate", "large", "--flow", "one.yaml", "--json").stdout)
    assert [tokens for tokens, _ in found["prefill"]] == [32, 128, 512]
    (here / "one.yaml").write_text(flow(context=60))
    result = laconic("calibrate", "large", "--flow", "one.yaml")
    assert result.exit_code == 2
    assert "a context of 60 tokens is too small" in result.stderr


def test_a_model_that_ends_its_answers_at_once_is_refused_after_its_calls_are_booked(
    laconic: Laconic, book: Book, here: Path
) -> None:
    (here / "one.yaml").write_text(flow(answer="."))
    result = laconic("calibrate", "large", "--flow", "one.yaml", "--to", "c.json")
    assert result.exit_code == 1
    assert "no answer has more than one token" in result.stderr
    assert book().total().sent == 22
    assert not (here / "c.json").exists()
    (run,) = json.loads(laconic("runs", "--json").stdout)
    assert run["status"] == "failed"


def test_answers_whose_length_took_no_time_are_said(laconic: Laconic, asked: list[Request], one: Path) -> None:
    result = laconic("calibrate", "large", "--flow", "one.yaml", "--repeats", "1", "--json")
    found = json.loads(result.stdout)
    assert found["prefill"] == [[32, 32.0], [128, 128.0], [512, 512.0], [1024, 1024.0], [2048, 2048.0]]
    assert found["per_token"] == 0
    assert "a longer answer took no longer than a short one" in result.stderr
    assert "more --repeats" in result.stderr


def test_prompts_are_ids_that_the_model_has_and_a_role_is_asked_without_its_sampling(
    laconic: Laconic, asked: list[Request], one: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    how = "{backend: scripted, model: s, temperature: 0.7, extra: {prompt_logprobs: 1}, options: {answer: a b c d}}"
    one.write_text(f"name: one\nmodels: {{large: {how}}}\nnodes: {{answer: {{kind: prompt, prompt: hi}}}}\n")
    assert laconic("calibrate", "large", "--flow", "one.yaml", "--repeats", "1").exit_code == 0
    ids = {token for request in asked for token in request.prompt_token_ids or ()}
    assert 0 < max(ids) < shipped().size < IDS.start
    assert {(request.temperature, *request.extra) for request in asked} == {(0.0,)}
    monkeypatch.setattr("laconic.backends.tokenizers.ShippedTokenizer.size", 152_000)
    asked.clear()
    laconic("calibrate", "large", "--flow", "one.yaml", "--repeats", "1")
    ids = {token for request in asked for token in request.prompt_token_ids or ()}
    assert min(ids) >= 1_000, "Tekken's control tokens, and Gemma's, are before"
    assert max(ids) < 32_000
    told = " ".join(laconic("calibrate", "--help").stdout.replace("│", " ").split())
    assert "its sampling and `extra` are left out" in told


@pytest.mark.parametrize(
    ("args", "why"),
    [
        (("larg", "--flow", "one.yaml"), "did you mean 'large'"),
        (("large", "--flow", "one.yaml", "--to", "none/c.json"), "no folder 'none'"),
        (("large", "--flow", "one.yaml", "--to", "."), "'.' is a folder; name a file"),
        (("large", "--flow", "one.yaml", "--to", f"{'long' * 100}.json"), "cannot be written: File name too long"),
        (("olama:x",), "does not say a model"),
    ],
)
def test_what_was_asked_wrongly_is_said_before_a_call(
    laconic: Laconic, book: Book, one: Path, args: tuple[str, ...], why: str
) -> None:
    result = laconic("calibrate", *args)
    assert result.exit_code == 2
    assert why in result.stderr
    assert not book().calls


@pytest.fixture
def recorded(here: Path) -> Path:
    """A run in which a small and a large model wrote together, two evidences at once."""
    with Database(here / "l.db") as database:
        database.save_run(RunRecord(run="r1", flow="f", started=1.0))
        for call in (
            Call(run="r1", node="plan", model="small", served="s", purpose="draft", finish_reason="cut",
                 usage=Usage(100, 11, 0), started=1.0, seconds=1.0),
            Call(run="r1", node="E1", model="large", served="l", usage=Usage(200, 5, 100), started=2.0, seconds=5.0),
            Call(run="r1", node="E2", model="large", served="l", usage=Usage(100, 5, 0), started=2.0, seconds=1.0),
        ):  # fmt: skip
            database.write_call(call)
    save_calibration(Calibration(model="s", prefill=((100, 0.1),), per_token=0.01, parameters=10**9), here / "s.json")
    save_calibration(Calibration(model="l", prefill=((100, 1.0),), per_token=0.1), here / "l.json")
    return here / "l.db"


def test_the_bill_in_seconds_has_sum_and_critical_path(laconic: Laconic, recorded: Path) -> None:
    args = ("ledger", "r1", "--store", "l.db", "--runtimes", "s.json", "--runtimes", "large=l.json")
    head, *lines = [line.split("  ") for line in laconic(*args).stdout.splitlines()]
    assert [cell.strip() for cell in head if cell.strip()] == [
        "node",
        "calls",
        "model seconds",
        "critical path",
        "measured",
        "avoided",
    ]
    shown = {cells[0]: [cell.strip() for cell in cells[1:] if cell.strip()] for cells in lines}
    assert shown == {
        "plan": ["1", "0.210", "0.210", "1.000"],
        "E1": ["1", "1.500", "1.500", "5.000"],
        "E2": ["1", "1.500", "1.500", "1.000"],
        "total": ["3", "3.210", "1.710", "7.000"],
    }
    found = json.loads(laconic(*args, "--by", "model", "--json").stdout)
    assert found["groups"]["large"]["seconds"] == pytest.approx(3.0)
    assert found["total"]["critical_path"] == pytest.approx(1.71)
    assert found["calibrations"]["s"]["parameters"] == 10**9


def test_a_reused_answer_makes_no_bound_of_what_was_spent(laconic: Laconic, recorded: Path) -> None:
    with Database(recorded) as database:
        usage = Usage(100, 5)
        call = Call(run="r1", node="E3", model="large", served="l", status="replayed", usage=NOTHING, avoided=usage)
        database.write_call(call)
    args = ("ledger", "r1", "--store", "l.db", "--runtimes", "s.json", "--runtimes", "large=l.json")
    *_, total, told = laconic(*args).stdout.splitlines()
    assert total.split() == ["total", "3", "3.210", "1.710", "7.000", "≤", "1.500"]
    assert "of 1 calls it is not known what came from a cache" in told


def test_the_work_of_each_model_as_published_and_with_everything(laconic: Laconic, recorded: Path) -> None:
    args = ("ledger", "r1", "--store", "l.db", "--activated", "--runtimes", "s.json", "--parameters", "large=32B")
    found = json.loads(laconic(*args, "--router-parameters", "56M", "--json").stdout)
    assert found["written"] == 10 + 10
    assert found["as_published"] == pytest.approx((10 * 1e9 + 10 * 32e9) / 20)
    work = 110 * 1e9 + (104 + 104) * 32e9 + 11 * 56e6
    assert found["everything"] == pytest.approx(work / 20)
    assert found["flops"] == pytest.approx(2 * work)
    text = laconic(*args, "--router-parameters", "56M").stdout
    assert "as published: 16.50B" in text
    assert "everything: 338.33B" in text
    assert [line.split()[0] for line in text.splitlines()[1:5]] == ["small", "large", "(router)", "total"]


def test_parameters_come_from_the_flow_and_from_the_catalogue(laconic: Laconic, here: Path, one: Path) -> None:
    laconic("run", "one.yaml")
    found = json.loads(laconic("ledger", "--activated", "--json").stdout)
    assert found["models"][0]["parameters"] == 1.5e9
    with Database(here / "l.db") as database:
        database.save_run(RunRecord(run="r1", flow="f", started=1.0))
        database.write_call(Call(run="r1", model="m", served="smollm2-135m-instruct", usage=Usage(10, 1, 0)))
    found = json.loads(laconic("ledger", "--activated", "--json", "--store", "l.db").stdout)
    assert found["models"][0]["parameters"] == 135e6


@pytest.mark.parametrize(
    ("args", "why"),
    [
        (("--runtimes", "s.json"), "no calibration of the model 'l' (role 'large')"),
        (("--runtimes", "s.json", "--runtimes", "s.json"), "another calibration of 's'"),
        (("--runtimes", "l.db"), "no file of `laconic calibrate`"),
        (("--activated",), "'s' (role 'small'), 'l' (role 'large')"),
        (("--activated", "--parameters", "small=many"), "such as 1.5B, 56M or 1500000000, not 'many'"),
        (("--parameters", "small=1B"), "go with --activated"),
        (("--runtimes", "s.json", "--csv"), "--csv prints tokens"),
    ],
)
def test_what_cannot_be_said_is_refused(laconic: Laconic, recorded: Path, args: tuple[str, ...], why: str) -> None:
    result = laconic("ledger", "r1", "--store", "l.db", *args)
    assert result.exit_code == 2
    assert why in result.stderr


def test_a_router_that_looked_at_nothing_is_refused(laconic: Laconic, one: Path) -> None:
    laconic("run", "one.yaml")
    result = laconic("ledger", "--activated", "--router-parameters", "56M")
    assert result.exit_code == 2
    assert "no call with the purpose `draft`" in result.stderr
