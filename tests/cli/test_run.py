"""`laconic run`: answers, files, budgets, and runs that are stopped and go on."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from laconic.accounting.ledger import Ledger

Laconic = Callable[..., Result]
Book = Callable[[], Ledger]


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_the_answer_is_on_stdout_and_everything_else_on_stderr(laconic: Laconic) -> None:
    result = laconic("run", "flow.yaml", "-i", "question=Capital of France?")
    assert result.exit_code == 0
    assert result.stdout == "Paris\n"
    assert "answer (prompt) ok" in result.stderr
    assert "tokens in 1 calls" in result.stderr


def test_json_is_one_object_that_agrees_with_the_ledger(laconic: Laconic, book: Book) -> None:
    result = laconic("run", "flow.yaml", "--input", "question=France?", "--json")
    found = json.loads(result.stdout)
    assert found["status"] == "ok"
    assert found["outputs"] == {"answer": "Paris"}
    assert [node["path"] for node in found["nodes"]] == ["answer"]
    total = book().total(run=found["run"])
    assert (found["totals"]["prompt"], found["totals"]["completion"]) == (total.prompt, total.completion)
    assert found["totals"]["total"] == found["nodes"][0]["tokens"] == total.total > 0


def test_several_outputs_are_named(laconic: Laconic, here: Path) -> None:
    text = (here / "flow.yaml").read_text().replace('outputs: {answer: "{{ answer }}"}', "")
    (here / "flow.yaml").write_text(text + 'outputs: {short: "{{ answer }}", long: ["{{ answer }}", 1]}\n')
    assert laconic("run", "flow.yaml", "-i", "question=France?").stdout == 'short: Paris\nlong: ["Paris", 1]\n'


def test_lists_and_numbers_as_inputs(laconic: Laconic, here: Path) -> None:
    text = (here / "flow.yaml").read_text().replace("{question: str}", "{question: list, times: int}")
    (here / "flow.yaml").write_text(text.replace("{{ question }}", "{{ question[1] }}{{ times + 1 }}"))
    args = ("run", "flow.yaml", "-i", "times=2", "--json")
    assert laconic(*args, "-i", 'question=["x", "France"]').exit_code == 0
    wrong = laconic(*args, "-i", "question=France")
    assert wrong.exit_code == 2
    assert "must be a list in JSON" in wrong.stderr


def test_a_run_without_store_pays_again_and_one_with_store_does_not(laconic: Laconic, here: Path, book: Book) -> None:
    for _ in range(2):
        laconic("run", "flow.yaml", "-i", "question=France?")
    assert [call.status for call in book().calls] == ["ok", "ok"]
    for _ in range(2):
        result = laconic("run", "flow.yaml", "-i", "question=France?", "--store", "mine.db")
    assert [call.status for call in Ledger.load(here / "mine.db").calls] == ["ok", "replayed"]
    assert ": ok, 0 tokens in 0 calls" in result.stderr
    assert "avoided" in result.stderr


def test_the_store_of_the_environment_is_a_place_and_no_cache(
    laconic: Laconic, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LACONIC_STORE", str(here / "elsewhere" / "l.db"))
    for _ in range(2):
        laconic("run", "flow.yaml", "-i", "question=France?")
    assert [call.status for call in Ledger.load(here / "elsewhere" / "l.db").calls] == ["ok", "ok"]
    assert not (here / ".laconic").exists()


def test_data_runs_once_an_item_in_the_order_of_the_file(laconic: Laconic, questions: Path, server, here: Path) -> None:
    (here / "flow.yaml").write_text(server.flow())
    args = ("run", "flow.yaml", "--data", "questions.jsonl", "--items-at-once", "3")
    result = laconic(*args, "--out", "out.jsonl")
    assert result.exit_code == 0
    assert result.stdout == ""
    found = lines((here / "out.jsonl").read_text())
    assert [(item["id"], item["outputs"]["answer"]) for item in found] == [
        (f"q{i}", f"A to question {i}") for i in range(1, 6)
    ]
    assert [item["id"] for item in lines(laconic(*args, "--limit", "2").stdout)] == ["q1", "q2"]
    whole = json.loads(laconic(*args, "--json").stdout)
    assert [item["id"] for item in whole["outputs"]] == [f"q{i}" for i in range(1, 6)]
    assert whole["totals"]["total"] == 75


def test_a_budget_for_the_whole_run_ends_it_with_what_is_there(laconic: Laconic, here: Path, book: Book) -> None:
    (here / "d.jsonl").write_text("".join(f'{{"question": "France {i}?"}}\n' for i in range(10)))
    result = laconic("run", "flow.yaml", "--data", "d.jsonl", "--budget-tokens", "60", "--out", "out.jsonl")
    assert result.exit_code == 3
    assert book().total().total <= 60
    found = lines((here / "out.jsonl").read_text())
    assert [item["status"] for item in found[:-1]] == ["ok"] * (len(found) - 1)
    assert found[-1]["status"] == "budget"
    assert 2 < len(found) < 10
    assert "error: the budget of the whole run is 60 tokens" in result.stderr
    assert f"{10 - len(found)} not reached" in result.stderr
    record = json.loads(laconic("runs", "--json").stdout)[0]
    assert record["status"] == "budget"


def test_a_budget_reached_gives_the_outputs_that_are_there(laconic: Laconic, here: Path) -> None:
    text = (here / "flow.yaml").read_text().replace('outputs: {answer: "{{ answer }}"}', "")
    more = '  again: {kind: prompt, prompt: "{{ answer }} {{ answer }}, and then what?"}\n'
    outputs = 'outputs: {first: "{{ answer }}", second: "{{ again }}"}\n'
    (here / "flow.yaml").write_text(text + more + outputs)
    result = laconic("run", "flow.yaml", "-i", "question=France?", "--budget-tokens", "18", "--json")
    assert result.exit_code == 3
    found = json.loads(result.stdout)
    assert found["status"] == "budget"
    assert found["outputs"] == {"first": "Paris"}
    assert "Traceback" not in result.output


def test_a_run_that_fails_says_why_and_exits_with_1(laconic: Laconic, here: Path) -> None:
    text = (here / "flow.yaml").read_text().replace('{match: ".", answer: unknown}', '{match: "Italy", answer: Rome}')
    (here / "flow.yaml").write_text(text)
    result = laconic("run", "flow.yaml", "-i", "question=Peru?")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "error: No rule of the scripted model" in result.stderr
    (here / "d.jsonl").write_text('{"question": "Peru?"}\n{"question": "Italy?"}\n')
    result = laconic("run", "flow.yaml", "--data", "d.jsonl")
    assert result.exit_code == 1
    assert [item["status"] for item in lines(result.stdout)] == ["failed", "ok"]


def test_ctrl_c_ends_a_run_which_can_go_on(laconic: Laconic, here: Path, questions: Path, server, start) -> None:
    (here / "flow.yaml").write_text(server.flow())
    server.hold = "question 3"
    with start("run", "flow.yaml", "--data", "questions.jsonl") as process:
        server.wait_until_held()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert [item["id"] for item in lines(out)] == ["q1", "q2"]
    assert "Traceback" not in err
    assert "go on with: laconic run --resume" in err
    assert json.loads(laconic("runs", "--json").stdout)[0]["status"] == "cancelled"
    server.open()
    result = laconic("run", "--resume", "last")
    assert result.exit_code == 0
    assert [item["outputs"]["answer"] for item in lines(result.stdout)] == [f"A to question {i}" for i in range(1, 6)]


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_run_goes_on_and_spends_nothing_on_what_had_finished(
    laconic: Laconic, here: Path, questions: Path, server, book: Book, start, how: signal.Signals
) -> None:
    (here / "flow.yaml").write_text(server.flow())
    server.hold = "question 4"
    with start("run", "flow.yaml", "--data", "questions.jsonl", "--out", "out.jsonl") as process:
        server.wait_until_held()
        told = [process.stderr.readline() for _ in range(3)]  # the three items before it have ended
        process.send_signal(how)
        process.communicate(timeout=60)
    assert [line.split(",")[0] for line in told] == [f"{i}/5 item q{i}: ok" for i in (1, 2, 3)]
    assert process.returncode == (-9 if how == signal.SIGKILL else 130)
    first = json.loads(laconic("runs", "--json").stdout)[0]
    assert first["status"] == ("interrupted" if how == signal.SIGKILL else "cancelled")
    assert len(lines((here / "out.jsonl").read_text())) == 3
    server.open()
    server.asked.clear()
    (here / "flow.yaml").unlink()  # a run knows its flow by itself

    result = laconic("run", "--resume", first["run"], "--out", "out.jsonl")

    assert result.exit_code == 0
    assert server.asked == ["question 4", "question 5"]
    assert [item["id"] for item in lines((here / "out.jsonl").read_text())] == [f"q{i}" for i in range(1, 6)]
    second = json.loads(laconic("runs", "--json").stdout)[0]
    assert second["resumes"] == first["run"]
    assert second["run"] != first["run"]
    assert [(call.item, call.status) for call in book().select(run=second["run"]).calls] == [
        *((f"q{i}", "replayed") for i in (1, 2, 3)),
        ("q4", "ok"),
        ("q5", "ok"),
    ]
    assert second["totals"]["avoided"] == 45
    assert second["totals"]["total"] == 30
    assert laconic("ledger", "--by", "status").stdout.splitlines()[1].split()[0] == "replayed"


def test_resume_takes_inputs_models_changes_and_budget_from_the_record(
    laconic: Laconic, here: Path, server, questions: Path
) -> None:
    (here / "local.yaml").write_text(server.flow().replace('"{{ question }}"', '"one {{ question }}"'))
    args = (
        "-i",
        "question=France?",
        "--model",
        f"large={server.url}#served",
        "--set",
        "nodes.answer.prompt=two {{ question }}",
    )
    assert laconic("run", "local.yaml", *args).stdout == "A to two France?\n"
    (here / "local.yaml").write_text("no longer a flow")
    server.asked.clear()
    result = laconic("run", "--resume", "last", "--json")
    found = json.loads(result.stdout)
    assert found["outputs"] == {"answer": "A to two France?"}
    assert found["totals"]["total"] == 0
    assert server.asked == []


def test_a_resumed_run_may_be_given_a_larger_budget(laconic: Laconic, here: Path, book: Book) -> None:
    (here / "d.jsonl").write_text("".join(f'{{"question": "France {i}?"}}\n' for i in range(6)))
    assert laconic("run", "flow.yaml", "--data", "d.jsonl", "--budget-tokens", "40").exit_code == 3
    spent = book().total().total
    assert laconic("run", "--resume", "last", "--budget-tokens", "1000").exit_code == 0
    total = book().total()
    assert total.avoided_prompt + total.avoided_completion == spent
    assert len({(call.item, call.request_hash) for call in book().calls}) == 6


def test_text_of_a_model_cannot_steer_the_terminal(laconic: Laconic, here: Path) -> None:
    text = (here / "flow.yaml").read_text().replace("{match: France", '{match: Bad, answer: "x"}, {match: France')
    (here / "flow.yaml").write_text(text)
    (here / "d.jsonl").write_text('{"id": "\\u001b[31mred", "question": "France?"}\n')
    result = laconic("run", "flow.yaml", "--data", "d.jsonl")
    assert result.exit_code == 0
    assert "\x1b" not in result.stderr
