"""Single-token decisions: probabilities are read from logprobs, orders are averaged out, calibrations take effect."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from laconic.backends import Completion, Request, ScriptedBackend, TokenLogprob, Usage
from laconic.backends.backend import ServerFacts
from laconic.errors import FlowError, InputError, NodeError
from laconic.orchestrator import Context, Flow, Node, Result, kind
from laconic.orchestrator.one_token import rotations
from laconic.orchestrator.verdict import Reading, Verdict
from laconic.routers.calibration import Calibration, fit_calibration, without_input
from laconic.routers.single_token import decide_by_token, prompt

OPTIONS = {"yes": "right", "no": "wrong", "maybe": ""}


@kind("test_token")
class Token(Node):
    """Decides by a single token; the value is the verdict."""

    more: dict[str, Any]

    async def run(self, ctx: Context) -> Verdict:
        return await decide_by_token(
            ctx, instruction="Is it so?", text="the text", options=OPTIONS, model="small", **self.more
        )


def completion(probabilities: dict[str, float]) -> Completion:
    top = tuple(sorted(((token, math.log(p)) for token, p in probabilities.items()), key=lambda pair: -pair[1]))
    token, logprob = top[0]
    return Completion(
        text=token,
        usage=Usage(40, 1, 0, 0, 0),
        finish_reason="length",
        logprobs=(TokenLogprob(token, logprob, None, top),),
    )


async def decided(model: ScriptedBackend, **more: Any) -> Result:
    flow = Flow(
        name="f",
        inputs={},
        models={"small": {"backend": "scripted", "model": "s"}},
        nodes={"verdict": Token(more=more)},
        outputs={"verdict": "{{ verdict }}"},
    )
    return await flow.run(backends={"small": model})


async def test_the_logprobs_of_one_token_are_the_probabilities() -> None:
    said = {"A": 0.5, " a": 0.1, "B": 0.2, "The": 0.1, "AB": 0.08, "C": 0.02}
    model = ScriptedBackend(lambda request: completion(said))
    result = await decided(model)
    verdict = result.outputs["verdict"]
    assert verdict.label == "yes"
    assert verdict.mass == pytest.approx(0.82)
    assert verdict.probabilities == pytest.approx({"yes": 0.6 / 0.82, "no": 0.2 / 0.82, "maybe": 0.02 / 0.82})
    (request,) = model.requests
    assert (request.max_tokens, request.temperature, request.logprobs) == (1, 0.0, 20)
    assert request.messages[0].content.splitlines()[1:4] == ["A: right", "B: wrong", "C: maybe"]
    (call,) = result.ledger.calls
    assert (call.purpose, call.usage.completion) == ("route", 1)
    assert "82% of the probability" in str(verdict)


async def test_a_favoured_place_cancels_when_each_option_stood_in_each() -> None:
    true = {"right": 0.5, "wrong": 0.3, "maybe": 0.2}
    places = {"A": 6.0, "B": 1.0, "C": 0.5}

    def biased(request: Request) -> Completion:
        shown = dict(line.split(": ") for line in request.messages[0].content.splitlines()[1:4])
        weights = {letter: true[text] * places[letter] for letter, text in shown.items()}
        return completion({letter: weight / sum(weights.values()) for letter, weight in weights.items()})

    once = (await decided(ScriptedBackend(biased))).outputs["verdict"]
    assert once.probabilities["yes"] > 0.8
    model = ScriptedBackend(biased)
    often = (await decided(model, permutations=9)).outputs["verdict"]
    assert often.probabilities == pytest.approx({"yes": 0.5, "no": 0.3, "maybe": 0.2})
    assert len(model.requests) == 3
    assert [reading.order for reading in often.readings] == rotations(list(OPTIONS), 3)


async def test_without_logprobs_the_token_is_a_vote() -> None:
    answers = iter(["A", " b", "x"])

    def bare(request: Request) -> Completion:
        return Completion(text=next(answers), usage=Usage(40, 1, 0, 0, 0))

    verdict = (await decided(ScriptedBackend(bare), permutations=3)).outputs["verdict"]
    # The second order begins with "no", so that its B is "maybe".
    assert verdict.probabilities == {"yes": 0.5, "no": 0.0, "maybe": 0.5}
    assert verdict.mass == pytest.approx(2 / 3)
    assert "no logprobs" in str(verdict)


async def test_a_model_that_speaks_of_something_else_leaves_all_as_likely() -> None:
    verdict = (await decided(ScriptedBackend(lambda request: completion({"The": 0.9})))).outputs["verdict"]
    assert verdict.mass == 0
    assert set(verdict.probabilities.values()) == {1 / 3}


class Held(ScriptedBackend):
    """A server that can be held to some answers, and reports few alternatives."""

    async def facts(self) -> ServerFacts:
        return ServerFacts(server="vllm", chat_fields=frozenset({"structured_outputs"}), most_logprobs=5)


async def test_a_server_that_can_is_held_to_the_identifiers() -> None:
    model = Held(lambda request: completion({"A": 0.7, "B": 0.2, "C": 0.1}))
    verdict = (await decided(model)).outputs["verdict"]
    (request,) = model.requests
    assert request.extra == {"structured_outputs": {"choice": ["A", "B", "C"]}}
    assert request.logprobs == 5
    assert verdict.mass is None
    assert verdict.probabilities["yes"] == pytest.approx(0.7)


async def test_what_a_model_says_of_nothing_is_taken_out() -> None:
    def leaning(request: Request) -> Completion:
        empty = request.messages[-1].content == "N/A"
        return completion({"A": 0.8, "B": 0.1, "C": 0.1} if empty else {"A": 0.6, "B": 0.3, "C": 0.1})

    result = await decided(ScriptedBackend(leaning), content_free=True)
    verdict = result.outputs["verdict"]
    weights = {"yes": 0.6 / 0.8, "no": 0.3 / 0.1, "maybe": 0.1 / 0.1}
    assert verdict.probabilities == pytest.approx({k: v / sum(weights.values()) for k, v in weights.items()})
    assert len(result.ledger.calls) == 2


async def test_a_failed_call_fails_the_decision_after_the_others_ended() -> None:
    def failing(request: Request) -> Completion:
        if request.messages[0].content.splitlines()[1] == "A: wrong":
            raise NodeError("gone")
        return completion({"A": 0.9, "B": 0.1})

    result = await decided(ScriptedBackend(failing), permutations=3)
    assert result.status == "failed"
    assert sorted(call.status for call in result.ledger.calls) == ["failed", "ok", "ok"]


@pytest.mark.parametrize("options", [{}, {"a": ""}, {str(number): "" for number in range(27)}])
async def test_too_few_or_too_many_options_are_refused(options: dict[str, str]) -> None:
    with pytest.raises(NodeError, match="between 2 and 26 options"):
        await decide_by_token(
            None,  # type: ignore[arg-type]  # nothing may be asked
            instruction="",
            text="",
            options=options,
            model="small",
        )


def test_what_is_the_same_for_every_text_comes_first() -> None:
    one, other = (prompt("Which?", list(OPTIONS), OPTIONS, text) for text in ("x", "y"))
    assert one[0] == other[0]
    assert one[-1]["content"] == "x"


def verdict(**probabilities: float) -> Verdict:
    reading = Reading(order=tuple(probabilities), token="A", probabilities=probabilities, mass=1.0)
    return Verdict(probabilities=probabilities, mass=1.0, readings=(reading,))


def test_a_fit_finds_that_a_model_is_too_sure_and_leans() -> None:
    # Says 0.95 for yes; it is yes in 7 of 10. Says 0.95 for no; it is no in all of 10.
    said = [verdict(yes=0.95, no=0.05)] * 10 + [verdict(yes=0.05, no=0.95)] * 10
    labels = ["yes"] * 7 + ["no"] * 13
    calibration = fit_calibration(said, labels)
    assert calibration.apply(said[0].probabilities)["yes"] == pytest.approx(0.7, abs=0.03)
    assert calibration.apply(said[-1].probabilities)["no"] > 0.97


def test_a_fit_of_items_without_an_error_stays_finite() -> None:
    said = [verdict(yes=0.8, no=0.2), verdict(yes=0.2, no=0.8)] * 3
    calibration = fit_calibration(said, ["yes", "no"] * 3)
    assert 0.01 <= calibration.temperature < 1
    assert calibration.apply(said[0].probabilities)["yes"] > 0.9


@pytest.mark.parametrize(
    ("labels", "message"),
    [(["yes"], "one for each|give one"), (["yes", "yes"], "two labels"), (["yes", "perhaps"], "'perhaps' is none of")],
)
def test_labels_that_cannot_be_fitted_to_are_refused(labels: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        fit_calibration([verdict(yes=0.5, no=0.5)] * 2, labels)


def test_a_calibration_is_the_same_after_its_file(tmp_path: Path) -> None:
    calibration = Calibration(temperature=1.5, bias={"yes": 0.25, "no": -0.25})
    calibration.save(tmp_path / "c.json")
    assert Calibration.load(tmp_path / "c.json") == calibration
    with pytest.raises(FlowError, match="fitted for yes, no, not for basic, middle"):
        calibration.check(["basic", "middle"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "cannot be read: No such file"),
        ("{", "is no calibration"),
        ('{"bias": {"a": "much"}}', "is no calibration"),
        ('{"bias": {"a": 1}, "format": 2}', "of format 2.*fit it again"),
        ('{"bias": {"a": 1}, "temperature": 0}', "temperature 0"),
    ],
)
def test_a_file_that_is_no_calibration_is_said(tmp_path: Path, text: str | None, message: str) -> None:
    if text is not None:
        (tmp_path / "c.json").write_text(text)
    with pytest.raises(FlowError, match=message):
        Calibration.load(tmp_path / "c.json")


def test_what_is_favoured_without_input_is_divided_by() -> None:
    assert without_input(verdict(yes=0.75, no=0.25)).apply({"yes": 0.75, "no": 0.25}) == pytest.approx(
        {"yes": 0.5, "no": 0.5}
    )
