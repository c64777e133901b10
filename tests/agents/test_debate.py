from __future__ import annotations

from laconic.agents import Agent, Debate
from laconic.backends import Request

TEAM = Debate(
    agents=[Agent(name="sol"), Agent(name="cri", context="Marrant was born in Ovella.")],
    task="Where was Marrant born?",
)
THREE = TEAM.model_copy(update={"agents": [*TEAM.agents, Agent(name="dan")]})


def test_it_ends_when_the_critic_agrees(converse):
    result, script = converse(
        TEAM, {"sol": ["Answer: Rome", "Answer: Ovella"], "cri": ["B", "He is from Ovella.", "A"]}
    )
    team = result.values["team"]
    assert (result.outputs["answer"], team.ended, team.agreed) == ("Ovella", "agreed", True)
    assert [(m.sender, m.act) for m in team.messages] == [
        ("sol", "propose"), ("cri", "object"), ("sol", "revise"), ("cri", "agree"),
    ]  # fmt: skip
    assert "cri: He is from Ovella." in script.shown_to("sol")[-1]
    assert [record.path for record in result.nodes][1:] == ["team/1-sol", "team/2-cri", "team/3-sol", "team/4-cri"]


def test_it_ends_when_the_solver_repeats_its_answer(converse):
    result, _ = converse(TEAM, {"sol": ["Answer: Rome", "I looked again.\nAnswer: rome"], "cri": ["B", "No."]})
    assert (result.outputs["answer"], result.values["team"].ended) == ("rome", "decided")


def test_agreeing_costs_one_token_and_politeness_is_no_objection(converse):
    result, script = converse(TEAM, {"sol": ["Answer: Ovella"], "cri": ["A. That is a very good answer, thank you."]})
    verdict = script.backend.requests[-1]
    assert verdict.max_tokens == 1
    assert result.ledger.by("agent")["cri"].completion == 1
    assert result.ledger.total().completion == result.values["team"].message_tokens
    assert set(result.ledger.by("purpose")) == {"message"}


def test_the_reason_of_an_objection_goes_on_from_its_verdict(converse):
    _, script = converse(TEAM, {"sol": ["Answer: Rome", "Answer: Rome"], "cri": ["B", "No."]})
    verdict, reason = (request.messages for request in script.backend.requests[1:3])
    assert reason[: len(verdict)] == verdict
    assert [turn.role for turn in reason[len(verdict) :]] == ["assistant", "user"]


def test_a_critic_gives_no_answer_of_its_own(converse):
    result, _ = converse(TEAM, {"sol": ["Answer: Rome", "Answer: Rome"], "cri": ["B", "No.\nAnswer: Milan"]})
    objection = result.values["team"].messages[1]
    assert (objection.text, objection.answer) == ("No.", None)
    result, _ = converse(TEAM, {"sol": ["Answer: Rome", "Answer: Rome"], "cri": ["B", "Answer: Milan"]})
    assert (result.values["team"].messages[1].text, result.outputs["answer"]) == ("Milan", "Rome")


def test_critics_are_asked_at_once_and_heard_by_the_solver_alone(converse):
    lines = {"sol": ["Answer: Rome", "Answer: Rome"], "cri": ["B", "Not Rome."], "dan": ["B", "South of it."]}
    result, script = converse(THREE, lines)
    assert [m.to for m in result.values["team"].messages[1:3]] == [("sol",), ("sol",)]
    assert not any("South of it." in prompt for prompt in script.shown_to("cri"))
    assert all(said in script.shown_to("sol")[-1] for said in ("cri: Not Rome.", "dan: South of it."))


def test_a_verdict_that_is_neither_letter_is_no_agreement_and_no_objection(converse):
    result, _ = converse(THREE, {"sol": ["Answer: Rome"], "cri": ["Hmm"], "dan": ["A"]})
    assert (result.values["team"].ended, result.values["team"].agreed) == ("decided", False)


def test_an_objection_without_a_word_is_still_one(converse):
    result, _ = converse(TEAM, {"sol": ["Answer: Rome", "Answer: Pisa"], "cri": ["B", "", "", "A"]})
    assert result.values["team"].messages[1].text == "I object."
    assert result.outputs["answer"] == "Pisa"


def test_two_that_never_agree_end_at_the_limit_of_turns(converse):
    numbers = iter(range(100))

    def say(name: str, request: Request) -> str:
        if request.max_tokens == 1:
            return "B"
        return f"Answer: {next(numbers)}" if name == "sol" else f"No, {next(numbers)}."

    result, _ = converse(TEAM.model_copy(update={"max_turns": 6}), say)
    assert (result.values["team"].ended, result.values["team"].turns) == ("turns", 6)
    assert result.outputs["answer"] == "4"


def test_a_solver_that_goes_to_and_fro_is_stopped(converse):
    lines = {"sol": ["Answer: a", "Answer: b"] * 9, "cri": ["B", "No."] * 9}
    result, _ = converse(TEAM.model_copy(update={"max_turns": 99}), lines)
    assert (result.values["team"].ended, result.outputs["answer"]) == ("repeating", "a")
    assert result.values["team"].turns < 7
