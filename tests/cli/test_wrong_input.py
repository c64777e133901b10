"""What a user gets wrong is said in one message, before anything is spent, without a traceback."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from laconic.accounting.ledger import Ledger
from laconic.evals.rows import read_rows

Laconic = Callable[..., Result]
Book = Callable[[], Ledger]

HEAD = "name: x\nmodels:\n  large: {backend: scripted, model: s, options: {answer: hi}}\n"


def refused(result: Result, *said: str) -> None:
    """Exit status 2, one message that says all of `said`, nothing on stdout, no traceback."""
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert len(result.stderr.strip().splitlines()) == 1
    assert "Traceback" not in result.output
    for words in said:
        assert words in result.stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (HEAD + "nodes:\n  a: {kind: promt, prompt: hi}\n", ["flow.yaml:5", "promt", "did you mean 'prompt'"]),
        (HEAD + "nodes:\n  a: {kind: prompt, prompt: '{{ qestion }}'}\n", ["flow.yaml:5", "'qestion'"]),
        (
            HEAD + "nodes:\n  a: {kind: prompt, prompt: '{{ b }}'}\n  b: {kind: prompt, prompt: '{{ a }}'}\n",
            ["flow.yaml:", "circle", "a -> b"],
        ),
        (HEAD + "nodes:\n  a: {kind: prompt, prompt: hi}\n  a: {kind: prompt, prompt: ho}\n", ["flow.yaml:6", "twice"]),
        (HEAD + "nodes:\n  a: {kind: prompt, prompt: hi, promtp: ho}\n", ["flow.yaml:5", "no field 'promtp'"]),
        (HEAD + "nodes:\n  a: {kind: prompt, prompt: hi\n", ["flow.yaml:", "not YAML"]),
        (HEAD + "nodes:\n  a: {kind: prompt, prompt: hi, model: small}\n", ["flow.yaml:5", "no model 'small'"]),
        (HEAD + "nodes: {}\n", ["no nodes"]),
        ("- a list\n", ["flow.yaml:1", "a flow is a mapping"]),
        ("", ["flow.yaml:1", "a flow is a mapping"]),
    ],
)
@pytest.mark.parametrize("command", ["run", "graph", "doctor"])
def test_a_flow_that_cannot_work(
    laconic: Laconic, here: Path, book: Book, text: str, said: list[str], command: str
) -> None:
    (here / "flow.yaml").write_text(text)
    refused(laconic(command, "flow.yaml"), *said)
    assert not book().calls


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["run", "flow.yaml"], ["needs the input 'question'"]),
        (["run", "flow.yaml", "-i", "question=a", "-i", "more=b"], ["no input 'more'"]),
        (["run", "flow.yaml", "-i", "question"], ["NAME=VALUE"]),
        (["run", "flow.yaml", "-i", "question=a", "-i", "question=b"], ["given twice"]),
        (["run", "flow.yaml", "-i", "question=a", "--model", "smal=local:x"], ["no model 'smal'"]),
        (["run", "flow.yaml", "-i", "question=a", "--model", "large=ftp:x"], ["does not say a model"]),
        (["run", "flow.yaml", "-i", "question=a", "--limit", "2"], ["--limit is for --data"]),
        (["run", "flow.yaml", "-i", "question=a", "--out", "none/x.json"], ["cannot be written"]),
        (["run", "none.yaml"], ["there is no flow file 'none.yaml'"]),
        (["run"], ["name a flow file"]),
        (["run", "flow.yaml", "--data", "none.jsonl"], ["there is no data file"]),
        (["run", "flow.yaml", "--resume", "last"], ["leave it out"]),
        (["run", "--resume", "last"], ["there is no ledger"]),
        (["compare", "flow.yaml", "flow.yaml", "--data", "none.jsonl"], ["two flows are called"]),
        (["compare", "flow.yaml", "--data", "none.jsonl"], ["there is no data file"]),
        (["runs"], ["there is no ledger"]),
        (["ledger"], ["there is no ledger"]),
        (["models", "path", "gpt-5"], ["no model 'gpt-5' in the catalogue"]),
        (["models", "pull", "qwen2.5-coder"], ["Did you mean qwen2.5-coder-1.5b-instruct"]),
    ],
)
def test_a_command_line_that_cannot_work(
    laconic: Laconic, here: Path, book: Book, args: list[str], said: list[str]
) -> None:
    refused(laconic(*args), *said)
    assert not book().calls


def test_a_word_that_is_no_option_is_refused_by_the_command_line_itself(laconic: Laconic) -> None:
    result = laconic("run", "flow.yaml", "--budget", "3")
    assert result.exit_code == 2
    assert "No such option" in result.stderr
    assert "Traceback" not in result.output


def test_an_unknown_run(laconic: Laconic, here: Path) -> None:
    assert laconic("run", "flow.yaml", "-i", "question=France?").exit_code == 0
    refused(laconic("ledger", "nope"), "there is no run 'nope'")
    refused(laconic("run", "--resume", "nope"), "there is no run 'nope'")


def test_a_server_that_is_not_there(laconic: Laconic, here: Path, book: Book) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    spec = f"large=http://127.0.0.1:{port}/v1#any"
    (here / "out.json").write_text("earlier")
    refused(
        laconic("run", "flow.yaml", "-i", "question=a", "--model", spec, "--out", "out.json"), "'large'", f":{port}"
    )
    assert not book().calls
    assert (here / "out.json").read_text() == "earlier"
    result = laconic("runs", "--json")
    assert json.loads(result.stdout) == []


def test_a_model_that_the_server_does_not_have(laconic: Laconic, here: Path, book: Book, server) -> None:
    (here / "flow.yaml").write_text(server.flow(model="severed"))
    refused(laconic("run", "flow.yaml", "-i", "question=a"), "no model 'severed'", "did you mean 'served'")
    assert not book().calls
    assert server.asked == []


def test_a_model_file_that_is_not_here(laconic: Laconic, monkeypatch: pytest.MonkeyPatch, here: Path) -> None:
    monkeypatch.setenv("LACONIC_MODELS", str(here / "models"))
    args = ("run", "flow.yaml", "-i", "question=a", "--model", "large=local:smollm2-135m-instruct")
    refused(laconic(*args), "laconic models pull smollm2-135m-instruct")


def test_bad_lines_of_a_data_file_are_named_and_the_rest_runs(laconic: Laconic, here: Path, book: Book) -> None:
    (here / "d.jsonl").write_text(
        '{"id": "a", "question": "France?"}\n{oops\n{"id": "b"}\n{"id": "c", "question": "Peru?"}\n'
    )
    result = laconic("run", "flow.yaml", "--data", "d.jsonl")
    assert result.exit_code == 0
    assert "d.jsonl: line 2: not valid JSON" in result.stderr
    assert "d.jsonl: line 3: the flow needs the input 'question'" in result.stderr
    assert "2 lines left out" in result.stderr
    assert [json.loads(line)["id"] for line in result.stdout.splitlines()] == ["a", "c"]
    assert {call.item for call in book().calls} == {"a", "c"}


def test_bad_lines_of_a_comparison_are_named_and_the_rest_is_compared(laconic: Laconic, here: Path) -> None:
    (here / "d.jsonl").write_text(
        '{"id": "a", "question": "France?", "answer": "Paris"}\n[1]\n{"id": "b", "question": "Peru?"}\n'
    )
    result = laconic("compare", "flow.yaml", "--data", "d.jsonl", "--results", "rows.jsonl")
    assert result.exit_code == 0
    assert "d.jsonl: line 2: not a JSON object but a list" in result.stderr
    assert "d.jsonl: line 3: no field 'answer'" in result.stderr
    assert [row.id for row in read_rows(here / "rows.jsonl")] == ["a"]


def test_a_data_file_without_one_good_line(laconic: Laconic, here: Path, book: Book) -> None:
    (here / "d.jsonl").write_text("nope\n")
    refused(laconic("run", "flow.yaml", "--data", "d.jsonl"), "line 1: not valid JSON")
    refused(laconic("compare", "flow.yaml", "--data", "d.jsonl"), "line 1: not valid JSON")
    assert not book().calls


def test_a_ledger_file_that_is_none_is_left_alone(laconic: Laconic, here: Path) -> None:
    (here / "other.db").write_text("my thesis")
    result = laconic("run", "flow.yaml", "-i", "question=a", "--store", "other.db")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: ")
    assert "Traceback" not in result.output
    assert (here / "other.db").read_text() == "my thesis"
