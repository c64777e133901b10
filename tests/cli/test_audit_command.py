"""`laconic audit`: the ledger of a run against its servers, and what is said where nothing can be proved."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from typer.testing import Result

from laconic.accounting.call import Call
from laconic.accounting.database import Database
from laconic.accounting.readings import Moment, Reading
from laconic.accounting.runs import RunRecord
from laconic.backends import Usage
from laconic.backends.usage import UNKNOWN

Laconic = Callable[..., Result]

OUTER = """
name: outer
models: {large: {backend: scripted, model: script, options: {answer: "yes"}}}
nodes:
  answer: {kind: prompt, prompt: "Answer"}
  inner:
    kind: flow
    flow:
      name: inner
      models: {small: {backend: scripted, model: tiny, options: {answer: "no"}}}
      nodes: {said: {kind: prompt, model: small, prompt: "Say"}}
      outputs: {said: "{{ said }}"}
outputs: {answer: "{{ answer }}"}
"""


def test_a_run_is_equal_to_its_server_to_the_token(laconic: Laconic) -> None:
    assert laconic("run", "flow.yaml", "-i", "question=Capital of France?").exit_code == 0
    result = laconic("audit")
    assert result.exit_code == 0, result.output
    assert "script (scripted), 1 calls, tokens:" in result.stdout
    assert [line.split()[-1] for line in result.stdout.splitlines() if " server " in line] == ["equal"] * 3
    assert "they are equal, to the token" in result.stdout
    found = json.loads(laconic("audit", "--json").stdout)
    assert found["explained"]
    assert found["unprovable"] == {}
    script = found["models"]["script"]
    assert script["server"] == script["ledger"] == {"prompt": 13, "cached": 0, "completion": 3}
    assert (script["equal"], script["calls"], script["servers"]) == (True, 1, ["scripted"])


def test_an_earlier_run_keeps_its_proof(laconic: Laconic) -> None:
    for country in ("France", "Peru"):
        assert laconic("run", "flow.yaml", "-i", f"question={country}?").exit_code == 0
    latest, first = json.loads(laconic("runs", "--json").stdout)
    for run in (latest, first):
        found = json.loads(laconic("audit", run["run"], "--json").stdout)
        assert found["run"] == run["run"]
        assert found["models"]["script"]["ledger"]["prompt"] == run["totals"]["prompt"]


def test_the_model_of_a_flow_in_a_flow_is_read_before_its_first_call(laconic: Laconic, here: Path) -> None:
    (here / "outer.yaml").write_text(OUTER)
    assert laconic("run", "outer.yaml").exit_code == 0
    found = json.loads(laconic("audit", "--json").stdout)
    assert sorted(found["models"]) == ["script", "tiny"]
    assert all(model["equal"] and model["calls"] == 1 for model in found["models"].values())


def test_runs_over_items_and_resumed_ones_are_proved_too(laconic: Laconic, here: Path) -> None:
    (here / "d.jsonl").write_text("".join(f'{{"question": "France {i}?"}}\n' for i in range(6)))
    args = ("run", "flow.yaml", "--data", "d.jsonl", "--items-at-once", "3")
    assert laconic(*args, "--budget-tokens", "40").exit_code == 3
    assert "they are equal, to the token" in laconic("audit").stdout
    assert laconic("run", "--resume", "last", "--budget-tokens", "1000").exit_code == 0
    result = laconic("audit")
    assert result.exit_code == 0
    assert "they are equal, to the token" in result.stdout


def test_a_run_that_failed_is_proved(laconic: Laconic, here: Path) -> None:
    text = (here / "flow.yaml").read_text().replace('{match: ".", answer: unknown}', '{match: "Italy", answer: Rome}')
    (here / "flow.yaml").write_text(text)
    assert laconic("run", "flow.yaml", "-i", "question=Peru?").exit_code == 1
    assert laconic("audit").exit_code == 0


def test_each_run_of_a_comparison_has_the_readings_of_the_whole(laconic: Laconic, here: Path) -> None:
    (here / "other.yaml").write_text((here / "flow.yaml").read_text().replace("Answer:", "Reply:"))
    (here / "d.jsonl").write_text('{"question": "France?", "answer": "Paris"}\n')
    assert laconic("compare", "flow.yaml", "other.yaml", "--data", "d.jsonl").exit_code == 0
    for run in json.loads(laconic("runs", "--json").stdout):
        found = json.loads(laconic("audit", run["run"], "--json").stdout)
        assert found["models"]["script"]["equal"]
        assert found["models"]["script"]["calls"] == 2


def test_what_publishes_no_counters_cannot_be_proved(laconic: Laconic, server, here: Path) -> None:
    (here / "asked.yaml").write_text(server.flow())
    assert laconic("run", "asked.yaml", "-i", "question=x").exit_code == 0
    result = laconic("audit")
    assert result.exit_code == 1
    assert (
        "served: nothing is proved: its server was not read around this run: it publishes no counters" in result.stdout
    )
    assert list(json.loads(laconic("audit", "--json").stdout)["unprovable"]) == ["served"]


def test_an_unknown_run_is_wrong_input(laconic: Laconic) -> None:
    assert laconic("audit").exit_code == 2
    assert laconic("run", "flow.yaml", "-i", "question=x").exit_code == 0
    result = laconic("audit", "nonesuch")
    assert result.exit_code == 2
    assert "there is no run 'nonesuch'" in result.stderr


class TestReadings:
    """What a file holds, whatever became of the run."""

    @pytest.fixture
    def database(self, here: Path) -> Database:
        database = Database(here / ".laconic" / "laconic.db")
        database.save_run(RunRecord(run="r1", flow="f", status="ok", started=1.0))
        return database

    def reading(self, moment: Moment, taken: float, **fields: object) -> Reading:
        plain = Reading(
            run="r1", server="http://127.0.0.1:8000/v1", served="m", backend="vllm", moment=moment, taken=taken,
            computed=0, cached=0, generated=0, requests=0, aborted=0, samples=0,
        )  # fmt: skip
        return msgspec.structs.replace(plain, **fields)

    def call(self, usage: Usage, **fields: object) -> Call:
        plain = Call("r1", "answer/E1", model="large", served="m", backend="vllm", started=15.0, usage=usage)
        return msgspec.structs.replace(plain, **fields)

    def close(self, database: Database, *calls: Call, **after: object) -> None:
        database.save_reading(self.reading("before", 10.0))
        if after:
            database.save_reading(self.reading("after", 20.0, **after))
        for call in calls:
            database.write_call(call)
        database.close()

    def test_a_run_that_was_killed_has_no_second_reading(self, laconic: Laconic, database: Database) -> None:
        self.close(database, self.call(Usage(10, 1, 0, 0, 0)))
        result = laconic("audit")
        assert result.exit_code == 1
        assert "m: nothing is proved: its server was read before the first call and not after" in result.stdout

    def test_a_run_of_before_there_were_readings(self, laconic: Laconic, database: Database) -> None:
        database.write_call(self.call(Usage(10, 1, 0, 0, 0)))
        database.close()
        result = laconic("audit")
        assert result.exit_code == 1
        assert "m: nothing is proved" in result.stdout

    def test_a_run_that_sent_nothing_has_nothing_to_prove(self, laconic: Laconic, database: Database) -> None:
        database.write_call(self.call(Usage(0, 0, 0, 0, 0), status="replayed"))
        database.close()
        result = laconic("audit")
        assert result.exit_code == 0
        assert "nothing to prove" in result.stdout

    def test_a_residual_is_shown_with_what_accounts_for_it(self, laconic: Laconic, database: Database) -> None:
        calls = [self.call(Usage(100, 10, 40, 0, 0)), self.call(UNKNOWN, status="timeout", node="answer/E2")]
        self.close(database, *calls, computed=100, cached=60, generated=12, requests=4, samples=4)
        result = laconic("audit")
        assert result.exit_code == 0, result.output
        lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
        assert "m (vllm http://127.0.0.1:8000/v1), 2 calls, 4 requests finished by the server, tokens:" in lines
        assert "prompt server 160 ledger ≥ 100 residual +60" in lines
        assert "of it cached server 60 ledger ≥ 40 residual +20" in lines
        assert "completion server 12 ledger ≥ 10 residual +2" in lines
        assert sum("cut short: 1 timeout (in answer/E2)" in line for line in lines) == 1
        assert "other clients: at least 2 requests that this ledger did not send" in lines
        assert "the residual is explained" in lines

    def test_a_residual_without_a_cause_fails(self, laconic: Laconic, database: Database) -> None:
        self.close(database, self.call(Usage(100, 10, 40, 0, 0)), computed=60, cached=40, generated=12, requests=1)
        result = laconic("audit")
        assert result.exit_code == 1
        assert "NOT explained: completion" in result.stdout
        assert json.loads(laconic("audit", "--json").stdout)["models"]["m"]["explained"] is False

    def test_other_runs_of_the_ledger_on_the_same_server_are_known(self, laconic: Laconic, database: Database) -> None:
        mine, other = self.call(Usage(100, 10, 40, 0, 0)), self.call(Usage(7, 2, 0, 0, 0), run="r0")
        early = self.call(Usage(5, 5, 0, 0, 0), run="r0", started=9.0)
        self.close(database, mine, other, early, computed=67, cached=40, generated=12, requests=2)
        assert "they are equal, to the token" in laconic("audit").stdout

    def test_a_name_cannot_steer_the_terminal(self, laconic: Laconic, database: Database) -> None:
        name = "\x1b[31mred"
        database.save_reading(self.reading("before", 10.0, served=name))
        database.save_reading(self.reading("after", 20.0, served=name))
        database.close()
        assert "\x1b" not in laconic("audit").stdout
