"""An answer of two models: who wrote what is seen, on a terminal and in a pipe."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from laconic.cli.who_wrote import who_wrote_what
from laconic.orchestrator import Context, Node, kind
from laconic.routers import Routed, Share, Span

ANSWER = Routed(
    [Span("small", "12 rolls ", 3), Span("large", "cost ", 1), Span("large", "4.80\x1b[2J", 4), Span("small", ".", 1)],
    Share(written=4, replaced=2),
    Share(written=5),
)


@kind("test_two_writers")
class TwoWriters(Node):
    """Gives an answer that two models wrote."""

    async def run(self, ctx: Context) -> Routed:
        return ANSWER


def test_a_pipe_is_given_marks_around_what_the_large_model_wrote(laconic: Callable[..., Result], here: Path) -> None:
    (here / "two.yaml").write_text("name: two\nnodes: {a: {kind: test_two_writers}}\noutputs: {a: '{{ a }}'}\n")
    assert laconic("run", "two.yaml").stdout == "12 rolls ⟦cost 4.80\x1b[2J⟧.\n"
    assert '"12 rolls cost 4.80' in laconic("run", "two.yaml", "--json").stdout


def test_a_run_over_items_gives_its_text(laconic: Callable[..., Result], here: Path) -> None:
    (here / "two.yaml").write_text(
        "name: two\ninputs: {q: str}\nnodes: {a: {kind: test_two_writers}}\noutputs: {a: '{{ a }}'}\n"
    )
    (here / "d.jsonl").write_text('{"q": "x"}\n')
    result = laconic("run", "two.yaml", "--data", "d.jsonl", "--json")
    assert json.loads(result.stdout)["outputs"][0]["outputs"] == {"a": "12 rolls cost 4.80\x1b[2J."}


def test_copies_know_who_wrote_what() -> None:
    for copied in (copy.deepcopy(ANSWER), pickle.loads(pickle.dumps(ANSWER))):
        assert (copied, copied.spans, copied.large) == (ANSWER, ANSWER.spans, ANSWER.large)


def test_a_terminal_is_given_colours_and_is_not_steered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    shown = who_wrote_what(ANSWER, terminal=True)
    assert shown.startswith("12 rolls \x1b[")
    assert "\x1b[2J" not in shown
    assert shown.endswith(".")
    monkeypatch.setenv("NO_COLOR", "1")
    assert who_wrote_what(ANSWER, terminal=True) == "12 rolls ⟦cost 4.80␛[2J⟧."


def test_a_share_is_of_the_tokens_in_the_answer() -> None:
    assert ANSWER.share == 5 / 9
    assert [span.tokens for span in ANSWER.spans] == [3, 5, 1]
