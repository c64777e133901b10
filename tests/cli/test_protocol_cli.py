"""`laconic protocol select`: ways to talk race, the best is written into a flow, and every token is shown."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from laconic.accounting.ledger import Ledger
from laconic.agents import Concise, Pair
from laconic.backends import Request, ScriptedBackend
from laconic.backends.backend import ServerFacts
from laconic.orchestrator import Flow, runtime

FLOW = """
name: talk
inputs: {question: str}
models:
  large: {backend: scripted, model: big, options: {answer: unused}}
  small: {backend: scripted, model: little, options: {answer: unused}}
nodes:
  team:
    kind: pair
    task: "{{ question }}"
    agents:
      - {name: ann, context: "Secret of ann.", instructions: "Be kind."}
      - {name: ben}
outputs: {answer: "{{ team }}"}
"""
SELECT = ("protocol", "select", "flow.yaml", "--data", "items.jsonl", "--out", "chosen.yaml")
ROUTE = "We look where the old road leaves the river and then we follow the wall to the north gate of the city"


def speak(request: Request) -> str:
    """Right in many words; right in fewer if asked for few; wrong if asked for {{ riddles }}."""
    if request.prompt is not None:
        return "x"
    turns = request.messages or ()
    told, shown = turns[0].content, "\n".join(turn.content for turn in turns[1:])
    found = re.search(r"item (\d+)", shown)
    assert found is not None
    if "{{ riddles }}" in told:
        return f"{ROUTE}.\nAnswer: nobody knows"
    if "as few words as possible" in told:
        return f"{ROUTE}.\nAnswer: code {found[1]}"
    return f"{ROUTE}, {ROUTE}, and {ROUTE}.\nAnswer: code {found[1]}"


class Models:
    """Scripted models in place of those of the flow."""

    def __init__(self) -> None:
        self.opened: dict[str, ScriptedBackend] = {}
        self.reads = True

    async def open(self, kind: str, model: str, **more: Any) -> ScriptedBackend:
        assert model not in self.opened, "a model is opened once, however it is asked"
        backend = self.opened[model] = ScriptedBackend(speak, model=model)
        if not self.reads:

            async def facts() -> ServerFacts:
                return ServerFacts(server="scripted", models=(model,), tokenizes=True)

            backend.facts = facts  # type: ignore[method-assign]  # a server that cannot say how likely a prompt is
        return backend


@pytest.fixture
def models(here: Path, monkeypatch: pytest.MonkeyPatch) -> Models:
    (here / "flow.yaml").write_text(FLOW)
    items = [{"id": f"q{n}", "question": f"What is the code of item {n}?", "answer": f"code {n}"} for n in range(1, 13)]
    (here / "items.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items))
    made = Models()
    monkeypatch.setattr(runtime, "open_backend", made.open)
    return made


WAYS = ("--protocol", "plain", "--protocol", "concise", "--format", "Answer in {{ riddles }}.")


def test_the_cheapest_right_way_is_written_and_the_wrong_one_leaves(
    laconic: Callable[..., Result], here: Path, models: Models, book: Callable[[], Ledger]
) -> None:
    result = laconic(*SELECT, *WAYS, "--report", "report.md")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.splitlines()[-1] == "concise: chosen.yaml"
    chosen, before = Flow.load(here / "chosen.yaml"), Flow.load(here / "flow.yaml")
    assert isinstance(chosen.nodes["team"], Pair)
    assert chosen.nodes["team"] == before.nodes["team"].model_copy(update={"protocol": Concise()})
    assert chosen.models == before.models, "how it was asked while choosing is no part of it"
    first = next(line.split() for line in result.stdout.splitlines() if line.startswith("concise "))
    assert first[3:5] == ["100%", "1.000"]
    assert re.search(r"plain \+ format 1 .* 0% .*(8|9|10|11|12) items", result.stdout)
    spent = book().total().total
    assert f"choosing took {spent:,} tokens" in result.stderr
    assert "Chosen: concise." in (here / "report.md").read_text()
    # The reader read: each different message once a conversation, under its own purpose.
    reading = book().by("purpose")["judge"]
    assert reading.total > 0
    assert f"{reading.total:,} for reading" in result.stderr
    assert {r.max_tokens for r in models.opened["little"].requests} == {1}


@pytest.mark.usefixtures("models")
def test_the_same_command_again_spends_nothing(laconic: Callable[..., Result], models: Models) -> None:
    first = laconic(*SELECT, *WAYS, "--store", "kept.db")
    assert first.exit_code == 0, first.stderr
    models.opened.clear()
    again = laconic(*SELECT, *WAYS, "--store", "kept.db")
    assert again.stdout == first.stdout
    assert "choosing took 0 tokens in 0 calls" in again.stderr


def test_a_text_about_the_format_is_no_template(laconic: Callable[..., Result], here: Path, models: Models) -> None:
    result = laconic(*SELECT, "--format", "Answer in {{ riddles }}.", "--lambda-tokens", "0", "--rounds", "2")
    assert result.exit_code == 0, result.stderr
    told = {(r.messages or ())[0].content for r in models.opened["big"].requests}
    assert any("Be kind.\nAnswer in {{ riddles }}." in text for text in told)


def test_several_conversations_are_sampled_with_seeds_of_their_own(
    laconic: Callable[..., Result], models: Models
) -> None:
    result = laconic(*SELECT, "--conversations", "3", "--rounds", "2")
    assert result.exit_code == 0, result.stderr
    asked = models.opened["big"].requests
    assert len({r.seed for r in asked}) == 3
    assert {r.temperature for r in asked} == {0.7}
    assert {r.temperature for r in models.opened["little"].requests} == {0.0}


def test_without_a_server_that_reads_readability_is_left_out(laconic: Callable[..., Result], models: Models) -> None:
    models.reads = False
    result = laconic(*SELECT, "--rounds", "2")
    assert result.exit_code == 0, result.stderr
    assert "readability is left out" in result.stderr
    models.opened.clear()
    named = laconic(*SELECT, "--rounds", "2", "--reader", "small")
    assert named.exit_code == 2
    assert "--reader small: its server does not say how likely" in named.stderr


def test_exports_hold_what_an_agent_was_shown_and_what_it_said(
    laconic: Callable[..., Result], here: Path, models: Models
) -> None:
    result = laconic(*SELECT, *WAYS, "--rounds", "3", "--export-sft", "sft.jsonl", "--export-pairs", "pairs.jsonl")
    assert result.exit_code == 0, result.stderr
    said = [json.loads(line) for line in (here / "sft.jsonl").read_text().splitlines()]
    assert len(said) == 3 * 2
    assert {record["way"] for record in said} == {"concise"}
    for record in said:
        mine = "Secret of ann." in record["prompt"][0]["content"]
        assert mine == (record["agent"] == "ann"), "an agent learns from what it knew, not from what the other knew"
        assert [turn["role"] for turn in record["completion"]] == ["assistant"]
        assert f"code {record['item'][1:]}" in record["completion"][0]["content"]
    pairs = [json.loads(line) for line in (here / "pairs.jsonl").read_text().splitlines()]
    assert len(pairs) == 3
    for pair in pairs:
        assert "code" in pair["chosen"][0]["content"]
        assert "nobody knows" in pair["rejected"][0]["content"]
        assert pair["prompt"][-1]["role"] == "user"
    models.opened.clear()
    dear = ("--rounds", "3", "--lambda-tokens", "9", "--least-gap", "99")
    none = laconic(*SELECT, *WAYS, *dear, "--export-sft", "sft.jsonl", "--export-pairs", "pairs.jsonl")
    assert none.exit_code == 0, none.stderr
    assert (here / "sft.jsonl").read_text() == (here / "pairs.jsonl").read_text() == ""


@pytest.mark.usefixtures("models")
@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--protocol", "plane"), "there is no protocol 'plane'; did you mean 'plain'?"),
        (("--topology", "prompt"), "'prompt' is no kind of team"),
        (("--protocol", "plain", "--protocol", "plain"), "the way 'plain' is there twice"),
        (("--report", "nowhere/r.md"), "there is no folder 'nowhere'"),
        (("--reader", "tiny"), "the flow has no such model; it has large, small"),
    ],
)
def test_a_mistake_is_told_before_a_token_is_spent(
    laconic: Callable[..., Result], book: Callable[[], Ledger], more: tuple[str, ...], said: str
) -> None:
    result = laconic(*SELECT, *more)
    assert result.exit_code == 2
    assert said in result.stderr
    assert not book().calls


def test_a_flow_without_a_team_has_nothing_to_choose(laconic: Callable[..., Result], here: Path) -> None:
    (here / "items.jsonl").write_text('{"question": "?", "answer": "x"}\n')
    result = laconic(*SELECT)
    assert result.exit_code == 2
    assert "must have one team" in result.stderr


def test_training_needs_one_file_of_records(laconic: Callable[..., Result], here: Path) -> None:
    for more in ((), ("--sft", "a.jsonl", "--pairs", "b.jsonl")):
        result = laconic("protocol", "train", "--model", ".", "--out", "adapter", *more)
        assert result.exit_code == 2
        assert "--sft FILE or --pairs FILE" in result.stderr
