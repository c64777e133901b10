"""`laconic run` on agents that talk: the conversation as it happens and the bill at the end, on stderr."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from laconic.accounting.ledger import Ledger

Laconic = Callable[..., Result]
LONG = "The opera is by Marrant, as is well known to all who ever went to that house, " * 4
TALK = f"""
name: talk
models:
  large:
    backend: scripted
    model: script
    options:
      rules:
        - {{match: "ben: ", answer: "I agree.\\nAnswer: Ovella"}}
        - {{match: "ann: ", answer: "He was\\e[2J born there.\\nAnswer: Ovella"}}
        - {{match: ".", answer: "{LONG}"}}
nodes:
  team:
    kind: pair
    agents: [{{name: ann, context: It is by Marrant.}}, {{name: ben, context: Marrant is from Ovella.}}]
    task: Where was its composer born?
outputs: {{answer: "{{{{ team }}}}"}}
"""


@pytest.fixture(autouse=True)
def talk(here: Path) -> None:
    (here / "flow.yaml").write_text(TALK)


def test_a_pipe_shows_each_message_when_it_was_said_and_the_bill(laconic: Laconic, book: Callable[[], Ledger]) -> None:
    result = laconic("run", "flow.yaml")
    assert (result.exit_code, result.stdout) == (0, "Ovella\n")
    shown = result.stderr.splitlines()
    said = [number for number, line in enumerate(shown) if " -> " in line and ": " in line]
    assert [shown[number].strip() for number in said] == [
        f"ann -> ben: {LONG.strip()}",
        "ben -> ann: He was␛[2J born there. / Answer: Ovella",
        "ann -> ben: I agree. / Answer: Ovella",
    ]
    assert [shown[number - 1].split()[0] for number in said] == ["team/1-ann", "team/2-ben", "team/3-ann"]
    bill = shown[said[-1] + 1 :]
    assert bill[0].startswith("team (pair) ok")
    assert bill[1] == "  agreed after 3 messages"
    total = book().total()
    (everybody,) = [line.split() for line in bill if line.split()[:1] == ["all"]]
    assert everybody == ["all", "3", f"{total.prompt:,}", total.show("cache_read"), f"{total.completion:,}"]
    assert any(line.startswith("  ann -> ben         2") for line in bill)
    assert any(line.startswith("  3 messages with") for line in bill)


def test_a_terminal_shows_the_conversation_above_the_tree(here: Path) -> None:
    ours, theirs = pty.openpty()
    code = "import sys; from laconic.cli import main; sys.argv[0] = 'laconic'; main()"
    command = [sys.executable, "-c", code, "run", "flow.yaml"]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "500"}
    with subprocess.Popen(command, cwd=here, stderr=theirs, stdout=subprocess.PIPE, env=environment) as process:
        os.close(theirs)
        shown = b""
        try:
            while piece := os.read(ours, 4096):
                shown += piece
        except OSError:
            pass  # the other end is closed: that is how a terminal's end reads
        assert process.stdout is not None
        answer = process.stdout.read()
    os.close(ours)
    assert (process.returncode, answer) == (0, b"Ovella\n")
    text = shown.decode()
    assert text.count("ben -> ann: He was␛[2J born there. / Answer: Ovella") == 1
    assert text.index("ann -> ben: The opera") < text.index("ben -> ann: He was") < text.rindex("agreed after 3")
    assert LONG.strip() in text
    assert "\x1b[2J born" not in text
    assert "3 messages with" in text


def test_teams_are_compared_and_a_second_run_goes_on(here: Path, laconic: Laconic) -> None:
    (here / "items.jsonl").write_text('{"id": "1", "answer": "Ovella"}\n')
    asked = ("compare", "flow.yaml", "--data", "items.jsonl", "--results", "rows.jsonl")
    forms = ("--variant", "plain: nodes.team.protocol=plain", "--variant", "concise: nodes.team.protocol=concise")
    first = laconic(*asked, *forms)
    assert first.exit_code == 0, first.stderr
    rows = [json.loads(line) for line in (here / "rows.jsonl").read_text().splitlines()]
    told = [(row["flow"], row["answer"], row["f1"]) for row in rows]
    assert told == [("plain", "Ovella", 1), ("concise", "Ovella", 1)]
    assert laconic(*asked, *forms).stdout == first.stdout
    assert len((here / "rows.jsonl").read_text().splitlines()) == 2
