"""Route: the chosen tier answers, the others do not run, and what was decided can be read."""

from __future__ import annotations

from typing import Any

import pytest

from laconic.errors import FlowError, ServerFailure
from laconic.orchestrator import Context, Flow
from laconic.routers import Decision, Item
from laconic.routers.decider import Decider, decider

NAMES = ["basic", "middle", "advanced"]
ROUTE = {"kind": "route", "tiers": NAMES, "question": "{{ question }}"}


@decider("test_asks")
class Asks(Decider):
    """Asks the small model, and is as sure as it is told."""

    chances: dict[str, float]

    async def decide(self, ctx: Context, item: Item) -> dict[str, float]:
        await ctx.complete(f"Which? {item.text}", model="small", purpose="route")
        return self.chances

    def expected(self, tiers: Any) -> dict[str, float]:
        return {"basic": 50.0, "advanced": 500.0}


def asks(basic: float, middle: float, advanced: float) -> dict[str, Any]:
    return {"kind": "test_asks", "chances": {"basic": basic, "middle": middle, "advanced": advanced}}


def ran(result: Any) -> list[str]:
    return [record.path for record in result.nodes if record.kind == "prompt"]


async def test_the_chosen_tier_alone_runs_and_its_value_is_the_routes(routed: Any) -> None:
    result = await routed({**ROUTE, "by": {"kind": "always", "tier": "middle"}})
    assert result.outputs == {"answer": "middle: why?"}
    assert ran(result) == ["answer/middle"]
    assert [call.node for call in result.ledger.calls] == ["answer/middle"]


async def test_what_the_decision_spends_is_in_the_bill_under_route(routed: Any) -> None:
    result = await routed({**ROUTE, "by": asks(0.2, 0.1, 0.7)})
    assert result.outputs["answer"] == "advanced: why?"
    spent = result.ledger.by("node", "purpose")
    assert set(spent) == {("answer/route", "route"), ("answer/advanced", "answer")}
    notes = [note for record in result.nodes for note in record.notes]
    assert notes == ["advanced (basic 0.20, middle 0.10, advanced 0.70); about 500 tokens"]
    assert notes[0] in result.explain()


@pytest.mark.parametrize(
    ("confidence", "tier"), [(None, "advanced"), (0.0, "basic"), (0.3, "basic"), (0.6, "middle"), (0.7, "advanced")]
)
async def test_confidence_takes_the_cheapest_that_is_sure_enough(
    routed: Any, confidence: float | None, tier: str
) -> None:
    result = await routed({**ROUTE, "by": asks(0.3, 0.3, 0.4), "confidence": confidence})
    assert ran(result) == [f"answer/{tier}"]


@pytest.mark.parametrize(
    ("rules", "tier"),
    [
        ([{"when": "tables < 2", "tier": "basic"}], "advanced"),
        ([{"when": "tables < 2", "tier": "basic"}, {"when": "'why' in question", "tier": "middle"}], "middle"),
        ([{"when": "names | length == 2 and tables > 2", "tier": "basic"}], "basic"),
    ],
)
async def test_rules_are_expressions_over_the_features(routed: Any, rules: Any, tier: str) -> None:
    features = {"tables": "{{ 1 + 2 }}", "names": ["a", "{{ question }}"]}
    by = {"kind": "rules", "rules": rules, "otherwise": "advanced"}
    result = await routed({**ROUTE, "features": features, "by": by})
    assert ran(result) == [f"answer/{tier}"]


async def test_a_tier_that_cannot_fit_is_never_taken(routed: Any) -> None:
    answer = {**ROUTE, "by": asks(0.1, 0.1, 0.8), "tokens": {"middle": 60}}
    result = await routed(answer, budget={"tokens": 400})
    assert ran(result) == ["answer/basic"]
    # Without an expectation the wall of the budget alone decides.
    free = await routed(
        {**answer, "tiers": ["middle", "basic"], "tokens": {}, "by": "test_free"}, budget={"tokens": 400}
    )
    assert free.status == "ok"


@decider("test_free")
class Free(Decider):
    """Knows nothing of tokens."""

    async def decide(self, ctx: Context, item: Item) -> dict[str, float]:
        return {item.tiers[0]: 1}


async def test_nothing_is_started_where_no_tier_fits(routed: Any) -> None:
    tokens = {"basic": 1000, "middle": 2000, "advanced": 3000}
    result = await routed(
        {**ROUTE, "by": {"kind": "always", "tier": "basic"}, "tokens": tokens}, budget={"tokens": 900}
    )
    assert result.status == "budget"
    assert not result.ledger.calls
    assert "expected to use 1,000" in str(result.error)


async def test_a_tier_that_fails_gives_way_to_the_next_and_stays_in_the_bill(routed: Any) -> None:
    tiers = {
        "first": {"kind": "prompt", "model": "small", "prompt": "first: {{ question }}"},
        "basic": {
            "kind": "prompt",
            "model": "small",
            "prompt": "{{ question }}",
            "schema": {"type": "object"},
        },
        "advanced": {"kind": "prompt", "model": "large", "prompt": "advanced: {{ question }}"},
    }
    answer = {"kind": "route", "tiers": ["basic", "advanced"], "by": {"kind": "always", "tier": "basic"}}
    result = await routed(answer, tiers=tiers)
    assert result.outputs["answer"] == "advanced: why?"
    assert [(call.node, call.status) for call in result.ledger.calls if call.node != "first"] == [
        ("answer/basic", "discarded"),
        ("answer/advanced", "ok"),
    ]
    strict = await routed({**answer, "fallback": False}, tiers=tiers)
    assert strict.status == "failed"
    assert "not JSON" in str(strict.error)


async def test_models_are_tiers_by_their_roles(routed: Any) -> None:
    answer = {**ROUTE, "tiers": ["small", "large"], "by": {"kind": "always", "tier": "large"}}
    result = await routed(answer, large="because", tiers={})
    assert result.outputs == {"answer": "because"}
    assert set(result.ledger.by("model")) == {"large"}


async def test_each_of_a_list_is_routed_by_itself(routed: Any) -> None:
    tiers = {name: {"kind": "prompt", "model": "small", "prompt": name + ": {{ item }}"} for name in NAMES}
    by = {"kind": "rules", "rules": [{"when": "question > 'b'", "tier": "basic"}], "otherwise": "middle"}
    answer = {**ROUTE, "for_each": ["a", "c"], "question": "{{ item }}", "by": by}
    result = await routed(answer, tiers=tiers)
    assert result.outputs == {"answer": ["middle: a", "basic: c"]}


async def test_a_model_that_is_gone_fails_the_decision(routed: Any) -> None:
    def gone(request: Any) -> str:
        raise ServerFailure("gone", status=400)

    result = await routed({**ROUTE, "by": asks(1, 0, 0)}, small=gone)
    assert result.status == "failed"
    first = result.ledger.calls[0]
    assert (first.purpose, first.status) == ("route", "failed")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tiers": ["basic", "midle"]}, "would run 'midle', which is neither another node nor a model; did you mean"),
        ({"tiers": []}, "tiers"),
        ({"tiers": ["basic", "basic"]}, "the tier 'basic' is named twice"),
        ({"tiers": ["answer", "basic"]}, "'answer' would run itself"),
        ({"tokens": {"dear": 1}}, "'dear' is not one of the tiers"),
        ({"tokens": {"basic": -1}}, "not negative"),
        ({"by": "guess"}, "there is no decider 'guess'"),
        ({"by": {"kind": "rules"}}, "needs the field 'rules'"),
        ({"by": 3}, "written as its kind"),
        ({"confidence": 2}, "confidence"),
        ({"by": {"kind": "always", "tier": "basik"}}, "by: 'basik' is not one of the tiers"),
        (
            {"by": {"kind": "rules", "rules": [{"when": "a <", "tier": "basic"}], "otherwise": "basic"}},
            "the rule 'a <'",
        ),
        ({"by": {"kind": "always", "tier": "basic", "teir": 1}}, "has no field 'teir'"),
    ],
)
def test_what_is_written_wrong_is_said_when_the_flow_is_read(change: dict[str, Any], message: str) -> None:
    with pytest.raises(FlowError, match=message.replace("[", r"\[")):
        make({**ROUTE, "by": {"kind": "always", "tier": "basic"}, **change})


def make(answer: dict[str, Any], outputs: dict[str, str] | None = None, **nodes: Any) -> Flow:
    tiers = {name: {"kind": "prompt", "model": "small", "prompt": name} for name in NAMES}
    return Flow(
        name="f",
        inputs={"question": "str"},
        models={"small": {"backend": "scripted", "model": "s"}},
        nodes={**tiers, "answer": answer, **nodes},
        outputs=outputs or {"answer": "{{ answer }}"},
    )


def test_a_tier_is_nobody_elses_input() -> None:
    answer = {**ROUTE, "by": {"kind": "always", "tier": "basic"}}
    with pytest.raises(FlowError, match="mentions 'basic', which 'answer' runs or does not run; mention 'answer'"):
        make(answer, after={"kind": "prompt", "model": "small", "prompt": "{{ basic }}"})
    with pytest.raises(FlowError, match="output 'x' mentions 'basic'"):
        make(answer, outputs={"x": "{{ basic }}"})


async def test_what_a_tier_waits_for_is_there_before_the_route_starts(routed: Any) -> None:
    tiers = {
        "linked": {"kind": "prompt", "model": "small", "prompt": "linked"},
        "basic": {"kind": "prompt", "model": "small", "prompt": "{{ linked }} basic"},
    }
    answer = {"kind": "route", "tiers": ["basic"], "by": {"kind": "always", "tier": "basic"}}
    result = await routed(answer, tiers=tiers)
    assert result.outputs == {"answer": "linked basic"}


def test_python_and_yaml_are_two_spellings_of_one_flow() -> None:
    by = {"kind": "rules", "rules": [{"when": "tables < 2", "tier": "basic"}], "otherwise": "middle"}
    flow = make({**ROUTE, "by": by, "features": {"tables": 3}})
    assert Flow.parse(flow.dump()) == flow
    assert flow.written()["nodes"]["answer"]["by"] == by


@pytest.mark.parametrize("chances", [{"basic": -1, "middle": 2}, {"basic": 0}, {"cheap": 1}, {"basic": float("nan")}])
async def test_a_decider_that_answers_nonsense_fails_before_a_tier_runs(routed: Any, chances: Any) -> None:
    result = await routed({**ROUTE, "by": {"kind": "test_asks", "chances": chances}})
    assert result.status == "failed"
    assert ran(result) == []


def test_a_decision_reads_as_a_sentence() -> None:
    decision = Decision(tier="basic", probabilities={"basic": 1.0}, expected={"basic": 1200.0}, left=4000)
    assert str(decision) == "basic (basic 1.00); about 1,200 tokens of 4,000 left"


async def test_routes_beside_each_other_do_not_take_what_is_reserved_for_spent(routed: Any) -> None:
    tiers = {"basic": {"kind": "prompt", "model": "small", "prompt": "basic: {{ item }}"}}
    by = {"kind": "always", "tier": "basic"}
    answer = {"kind": "route", "tiers": ["basic"], "by": by, "for_each": [1, 2, 3], "tokens": {"basic": 50}}
    result = await routed(answer, tiers=tiers, budget={"tokens": 3000})
    assert result.outputs == {"answer": ["basic: 1", "basic: 2", "basic: 3"]}


async def test_a_tier_that_meets_its_own_wall_gives_way(routed: Any) -> None:
    tiers = {
        "basic": {"kind": "prompt", "model": "small", "prompt": "basic: {{ question }}", "budget": {"tokens": 5}},
        "advanced": {"kind": "prompt", "model": "large", "prompt": "advanced: {{ question }}"},
    }
    answer = {"kind": "route", "tiers": ["basic", "advanced"], "by": {"kind": "always", "tier": "basic"}}
    assert (await routed(answer, tiers=tiers)).outputs == {"answer": "advanced: why?"}
    walled = await routed(answer, tiers=tiers, budget={"tokens": 6})
    assert walled.status == "budget"


async def test_features_that_are_no_mapping_are_said(routed: Any) -> None:
    result = await routed({**ROUTE, "by": {"kind": "always", "tier": "basic"}, "features": "{{ question }}"})
    assert "features is a mapping of names, not str" in str(result.error)


async def test_a_model_without_a_question_is_not_asked(routed: Any) -> None:
    answer = {"kind": "route", "tiers": ["small", "large"], "by": {"kind": "always", "tier": "small"}}
    result = await routed(answer, tiers={})
    assert "say in `question` what it is asked" in str(result.error)
    assert not result.ledger.calls
