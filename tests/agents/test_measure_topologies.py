from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from laconic.agents import Team
from laconic.orchestrator import kind

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "measure_topologies.py"


@kind("one-plans")
class OnePlans(Team):
    """The first robot plans."""

    async def converse(self, talk):
        return (await talk.say(talk.names[0])).answer or "", "decided"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("measure_topologies", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def game(script, **more):
    return script.Game(
        **{
            "solved": True,
            "score": 1.0,
            "steps": 3,
            "calls": 6,
            "prompt": 900,
            "completion": 60,
            "messages": 50,
            **more,
        }
    )


def test_a_row_has_means_and_all_tokens_by_solved_games(script):
    case = script.Case("boxes", "central", 4, range(2))
    row = script.row(case, [game(script), game(script, solved=False, score=0.5, steps=6, prompt=1100, completion=140)])
    assert row == "| boxes | central | 4 | 1 of 2 | 0.75 | 4.5 | 6.0 | 1,000 | 100 | 50 | 2,200 |"
    none = script.row(case, [game(script, solved=False, lower_bound=True)])
    assert none.endswith("| ≥ 900 | ≥ 60 | 50 | none was solved |")
    assert script.HEAD.count("|") == row.count("|")


def test_a_report_says_how_it_was_made_and_counts_the_ledger(script, tmp_path, capsys):
    path = tmp_path / "report.md"
    given = ["--worlds", "boxes", "lifting", "--topologies", "one-plans", "--agents", "2", "--seeds", "2"]
    assert script.main([*given, "--report", str(path)]) == 0
    text = path.read_text()
    assert "measure_topologies.py --worlds boxes lifting --topologies one-plans --agents 2 --seeds 2 --rep" in text
    assert "scripted robots" in text
    rows = [line for line in text.splitlines() if "| one-plans |" in line]
    assert [row.split(" | ")[0] for row in rows] == ["| boxes", "| lifting"]
    assert all("| 2 of 2 | 1.00 |" in row for row in rows)
    steps, calls = rows[0].split(" | ")[5:7]
    assert steps == calls


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (["--topologies", "centrall"], "there is no kind of node 'centrall'"),
        (["--worlds", "chess", "--topologies", "one-plans"], "there is no world 'chess'"),
        (["--model", "small=local:x"], "--model is written large=SPEC"),
    ],
)
def test_what_the_user_has_to_mend_is_said_without_a_traceback(script, tmp_path, capsys, given, why):
    assert script.main([*given, "--report", str(tmp_path / "r.md")]) == 2
    assert why in capsys.readouterr().err
    assert not (tmp_path / "r.md").exists()
