"""Two models on one answer: who writes what, what it costs, and where it ends."""

from __future__ import annotations

import math
from itertools import accumulate

import pytest

from laconic import Flow, Runtime, Store
from laconic.accounting.activation import Tokens
from laconic.backends import ScriptedBackend
from laconic.backends.doubt import chance
from laconic.backends.request import Message, Request
from laconic.backends.transformers import TransformersBackend
from laconic.errors import BackendUnreachable
from laconic.routers import Routed, TokenRoute
from laconic.routers.two_writers import drawn_from

MODELS = {role: {"backend": "transformers", "model": role} for role in ("small", "large")}
QUESTION = "How many?"


@pytest.fixture
async def route(small, large):
    """Runs the node on the two tiny models."""

    async def run(*, budget=None, models=None, spec=None, **fields):
        wanted = {} if {"above", "share"} & set(fields) else {"share": 0.3}
        fields = {"prompt": QUESTION, "max_tokens": 40, **wanted, **fields}
        specs = {role: {**of, **(spec or {})} for role, of in MODELS.items()}
        flow = Flow(
            name="two",
            models=specs,
            nodes={"answer": TokenRoute(**fields)},
            outputs={"a": "{{ answer }}"},
            budget=budget,
        )
        return await flow.run(runtime=Runtime(backends=models or {"small": small, "large": large}))

    return run


async def alone(backend, **fields):
    chat = Request(model=backend.model, messages=(Message("user", QUESTION),), max_tokens=40, **fields)
    return await backend.complete(chat)


@pytest.mark.parametrize("drawn", [{}, {"temperature": 1.0, "seed": 5}, {"temperature": 0.8, "top_p": 0.9, "seed": 5}])
@pytest.mark.parametrize(
    ("fields", "writer"),
    [({"above": math.inf}, "small"), ({"share": 0}, "small"), ({"above": 1e9}, "small"),
     ({"above": -math.inf}, "large"), ({"share": 1}, "large"), ({"above": -1}, "large")],
)  # fmt: skip
async def test_at_the_extremes_one_model_writes_exactly_what_it_writes_alone(
    route, small, large, fields, writer, drawn
):
    answer = (await route(**fields, spec=drawn)).outputs["a"]
    assert isinstance(answer, Routed)
    assert answer == (await alone({"small": small, "large": large}[writer], **drawn)).text
    assert [span.by for span in answer.spans] == [writer]
    assert answer.share == (writer == "large")


async def test_a_model_that_leaves_out_layers_is_not_taken_for_the_whole_one(large_folder):
    whole = {"backend": "transformers", "model": str(large_folder)}
    models = {"small": {**whole, "options": {"skip": [2, 3]}}, "large": whole}
    async with Runtime(store=Store(), reuse=True) as runtime:
        answers = []
        for above in (math.inf, -math.inf):
            node = TokenRoute(prompt=QUESTION, above=above, max_tokens=10)
            flow = Flow(name="two", models=models, nodes={"answer": node}, outputs={"a": "{{ answer }}"})
            result = await flow.run(runtime=runtime)
            answers.append((str(result.outputs["a"]), result.ledger.calls[-1].served, result.ledger.total().replayed))
    (small, named, _), (large, _, replayed) = answers
    assert small != large
    assert named == f"{large_folder}-without-2-3"
    assert replayed == 0


@pytest.mark.parametrize("measure", ["entropy", "margin", "aleatoric", "random"])
async def test_each_token_is_that_of_the_model_whose_turn_it_is(route, small, large, measure):
    result = await route(by=measure)
    answer = result.outputs["a"]
    assert {span.by for span in answer.spans} == {"small", "large"}
    assert Tokens.of(result.ledger.select(model="small").calls).replaced == answer.small.replaced > 0
    prompt = (await small.count(Request(model="small", messages=(Message("user", QUESTION),)))).ids
    again, place = list(prompt), 0
    for span in answer.spans:
        for _ in range(span.tokens):
            writer = {"small": small, "large": large}[span.by]
            one = await writer.complete(Request(model=span.by, prompt_token_ids=tuple(again), max_tokens=1))
            if measure == "random":
                assert (span.by == "large") == (chance(drawn_from(0, list(prompt)), len(prompt) + place) > 0.7)
            again += one.token_ids
            place += 1
    assert small._weights.tokenizer.decode(again[len(prompt) :]) == answer


async def test_every_token_is_in_the_bill_of_the_model_that_made_it(route):
    result = await route()
    answer = result.outputs["a"]
    for role, share in (("small", answer.small), ("large", answer.large)):
        total = result.ledger.by("model")[role]
        assert total.completion == share.written + share.replaced
        assert total.prompt - total.cache_read == share.read
        assert total.calls == share.calls
    assert answer.small.replaced == answer.large.written == result.ledger.by("purpose")["decide"].completion
    assert answer.small.written + answer.large.written == 40


async def test_the_large_model_reads_every_token_once(route):
    answer = (await route()).outputs["a"]
    last = list(accumulate(span.tokens for span in answer.spans))
    before_its_last = last[-1] if answer.spans[-1].by == "large" else last[-2]
    prompt = 4 + len(QUESTION)  # no more than that, with its frame
    assert before_its_last - 1 <= answer.large.read <= before_its_last - 1 + prompt


@pytest.mark.parametrize("measure", ["entropy", "margin", "aleatoric", "random"])
@pytest.mark.parametrize("share", [0.1, 0.4])
async def test_a_wanted_share_is_kept(route, measure, share):
    answer = (await route(by=measure, share=share, max_tokens=300)).outputs["a"]
    assert answer.share == pytest.approx(share, abs=0.08)


async def test_characters_of_several_tokens_are_whole_at_a_seam(small):
    await small.start()
    text = "Größe 🙂 naïve — 日本語 ☕ Ångström"
    ids = small._weights.tokenizer.encode(text)
    said = small._weights.tokenizer.decode(ids[:1])
    for place in range(1, len(ids)):
        forced = {"logit_bias": {ids[place]: 1000}}
        asked = Request(model="small", prompt_token_ids=tuple(ids[:place]), max_tokens=1, extra=forced)
        said += (await small.complete(asked)).text
    assert said == text


async def test_models_with_different_tokens_are_told(route, small, tmp_path):
    from .conftest import write_model

    write_model(tmp_path, seed=3)
    file = tmp_path / "tokenizer.json"
    file.write_text(
        file.read_text().replace('"fluorite"', '"flourite"').replace('"content":"<|tool|>"', '"content":"<|tul|>"')
    )
    other = TransformersBackend(tmp_path, name="large")
    result = await route(models={"small": small, "large": other})
    assert "different tokens" in str(result.error)
    assert result.ledger.total().calls == 0


async def test_a_model_that_cannot_be_asked_token_by_token_is_told(route, small):
    result = await route(models={"small": small, "large": ScriptedBackend(lambda _: "x", model="large")})
    assert "backend: transformers" in str(result.error)


class Dying(TransformersBackend):
    """Gives three tokens and then none."""

    given = 0

    async def complete(self, request, on_delta=None):
        self.given += 1
        if self.given > 3:
            raise BackendUnreachable("the large model is gone")
        return await super().complete(request, on_delta)


@pytest.mark.parametrize("without", ["fail", "small"])
async def test_a_large_model_that_dies_in_the_middle(route, small, large_folder, without):
    dying = Dying(large_folder, name="large")
    result = await route(models={"small": small, "large": dying}, without_large=without)
    assert result.ledger.by("purpose")["decide"].completion == 3
    if without == "fail":
        assert "the large model is gone" in str(result.error)
    else:
        answer = result.outputs["a"]
        assert (answer.large.written, answer.small.written) == (3, 37)
        assert "small wrote the rest" in result.explain()


async def test_a_budget_is_a_wall_and_what_is_written_stands(route):
    result = await route(budget={"calls": 7})
    assert result.status == "budget"
    assert result.ledger.total().calls == 7
    assert 0 < result.outputs["a"].small.written + result.outputs["a"].large.written < 40


async def test_a_large_model_that_writes_alone_is_held_to_the_budget_and_replaced_when_it_dies(
    route, small, large_folder
):
    result = await route(share=1, budget={"tokens": 40})
    assert result.status == "budget"
    dying = Dying(large_folder, name="large")
    dying.given = 3
    result = await route(share=1, without_large="small", models={"small": small, "large": dying})
    assert result.outputs["a"].small.written == 40


async def test_a_large_model_that_is_told_to_stop_at_once_is_an_error_and_no_endless_loop(small, large):
    until = {"until": {"measure": "random", "above": -1}}
    models = {"small": MODELS["small"], "large": {**MODELS["large"], "extra": until}}
    flow = Flow(
        name="two",
        models=models,
        nodes={"a": TokenRoute(prompt=QUESTION, above=-1, max_tokens=9)},
        outputs={"a": "{{ a }}"},
    )
    result = await flow.run(runtime=Runtime(backends={"small": small, "large": large}))
    assert "gave no token" in str(result.error)


async def test_a_budget_for_no_token_fails(route):
    result = await route(budget={"tokens": 12})
    assert (result.status, result.outputs) == ("budget", {})


async def test_who_wrote_what_can_be_used_in_templates(small, large):
    flow = Flow(
        name="two",
        models=MODELS,
        nodes={"answer": TokenRoute(prompt=QUESTION, max_tokens=10, share=0.5)},
        outputs={"a": "{{ answer }}", "large": "{{ answer.large.written }}"},
    )
    result = await flow.run(runtime=Runtime(backends={"small": small, "large": large}))
    assert result.outputs["large"] == result.outputs["a"].large.written
