from __future__ import annotations

import asyncio

from laconic.agents import Agent, Chain, Star

AGENTS = [Agent(name="hub"), Agent(name="ann", context="It is noon."), Agent(name="ben", context="It rains.")]
STAR = Star(agents=AGENTS, task="What to do?")
CHAIN = Chain(agents=[*AGENTS[1:], Agent(name="cid"), Agent(name="dan")], task="What to do?")


def test_the_hub_answers_what_the_workers_report(converse):
    result, script = converse(STAR, {"ann": ["Noon."], "ben": ["Rain."], "hub": ["Answer: eat"]})
    assert script.asked[-1] == "hub"
    assert [(m.sender, m.to) for m in result.values["team"].messages] == [
        ("ann", ("hub",)), ("ben", ("hub",)), ("hub", ("ann", "ben")),
    ]  # fmt: skip
    assert (result.outputs["answer"], result.values["team"].ended) == ("eat", "decided")
    assert all(said in script.shown_to("hub")[0] for said in ("ann: Noon.", "ben: Rain."))


def test_workers_are_shown_only_what_the_hub_said(converse):
    lines = {"ann": ["Noon.", "Yes."], "ben": ["Rain.", "No."], "hub": ["Who is hungry?", "Answer: eat"]}
    result, script = converse(STAR.model_copy(update={"rounds": 3}), lines)
    assert result.values["team"].turns == 6
    second = script.shown_to("ann")[1]
    assert "hub: Who is hungry?" in second
    assert "Noon." in second
    assert "Rain." not in second


def test_the_hub_must_answer_after_the_last_reports(converse):
    numbers = iter(range(99))
    result, script = converse(STAR.model_copy(update={"rounds": 2, "repairs": 1}), lambda *_: f"Hm {next(numbers)}.")
    assert script.asked.count("hub") == 3
    assert "gave none when asked again" in str(result.error)


def test_a_report_belongs_to_whoever_wrote_it_in_whatever_order_they_finish(converse):
    there = asyncio.Event()

    async def say(name, request):
        if name == "ann":
            await there.wait()
        elif name == "ben":
            there.set()
        return "Answer: eat" if name == "hub" else f"This is {name}."

    result, _ = converse(STAR, say)
    assert [(m.number, m.sender, m.text) for m in result.values["team"].messages[:2]] == [
        (1, "ann", "This is ann."),
        (2, "ben", "This is ben."),
    ]


def test_notes_go_down_the_chain_and_the_last_answers(converse):
    lines = {"ann": ["Noon."], "ben": ["Noon, rain."], "cid": ["Eat in."], "dan": ["Answer: eat"]}
    result, script = converse(CHAIN, lines)
    assert script.asked == ["ann", "ben", "cid", "dan"]
    assert (result.outputs["answer"], result.values["team"].ended) == ("eat", "decided")
    assert all(said in script.shown_to("dan")[0] for said in ("ann: Noon.", "ben: Noon, rain.", "cid: Eat in."))


def test_with_predecessors_each_is_shown_only_the_notes_before_it(converse):
    lines = {"ann": ["Noon."], "ben": ["Rain too."], "cid": ["Eat in."], "dan": ["Hm.", "Answer: eat"]}
    _, script = converse(CHAIN.model_copy(update={"sees": "predecessors"}), lines)
    assert "ann: Noon." in script.shown_to("ben")[0]
    for shown in script.shown_to("dan"):
        assert "cid: Eat in." in shown
        assert "Noon." not in shown
        assert "Rain too." not in shown


def test_a_chain_goes_on_past_one_that_is_silent(converse):
    lines = {"ann": ["Noon."], "ben": ["", ""], "cid": ["Eat in."], "dan": ["Answer: eat"]}
    result, _ = converse(CHAIN, lines)
    assert result.outputs["answer"] == "eat"
    assert not result.values["team"].messages[1].understood
