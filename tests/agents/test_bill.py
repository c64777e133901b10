"""The bill of a conversation: its sums are the ledger's, and unknown is not zero."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from laconic.accounting import Call, Total
from laconic.agents import Agent, Message, Pair
from laconic.agents.bill import Bill
from laconic.backends import Usage

TEAM = Pair(agents=[Agent(name="ann"), Agent(name="ben")], task="Which?")


def call(node: str, agent: str, prompt: int | None, completion: int | None, purpose: str = "message") -> Call:
    return Call("r", node, "", agent, model="large", purpose=purpose, usage=Usage(prompt, completion, 0, 0, 0))


def said(number: int, sender: str, to: tuple[str, ...], tokens: int | None) -> Message:
    return Message(number=number, sender=sender, to=to, text="x", tokens=tokens)


CALLS = [
    call("team", "", 50, 20, "format"),
    call("team/1-ann", "ann", 100, 10),
    call("team/1-ann/look", "ann", 7, 3, "tool"),
    call("team/2-ben", "ben", 110, 12),
    call("team/2-ben", "ben", 130, 6, "repair"),
    call("team/10-ann", "ann", None, 9),
    call("team/11-ben", "ben", 40, None),
]
SAID = [
    said(1, "ann", ("ben", "cal"), 10),
    said(2, "ben", ("ann",), 6),
    said(10, "ann", ("ben", "cal"), 9),
    said(11, "ben", ("ann",), None),
]


def test_by_agent_by_message_by_direction():
    bill = Bill.of(CALLS, SAID, "team")
    assert {name: total.calls for name, total in bill.agents.items()} == {"": 1, "ann": 3, "ben": 3}
    assert [(entry.message.id, entry.spent.prompt, entry.spent.completion) for entry in bill.messages] == [
        ("M1", 107, 13),
        ("M2", 240, 18),
        ("M10", 0, 9),
        ("M11", 40, 0),
    ]
    assert bill.beside.total == 70
    assert {way: (of.messages, of.tokens) for way, of in bill.directions.items()} == {
        ("ann", "ben"): (2, 19),
        ("ann", "cal"): (2, 19),
        ("ben", "ann"): (2, 6),
    }
    assert (bill.turns, bill.said.tokens) == (4, 25)


def test_what_no_server_told_is_a_lower_bound():
    shown = Bill.of(CALLS, SAID, "team").show()
    assert "4 messages with ≥ 25 tokens beside ≥ 437 tokens of prompts" in shown
    assert [line.split() for line in shown.splitlines() if line.startswith("M10")] == [
        ["M10", "ann", "1", "unknown", "0", "9", "inform"]
    ]


def test_the_table_is_aligned():
    lines = Bill.of(CALLS, SAID, "team").lines()
    figures = lines[: lines.index(next(line for line in lines if line.startswith("direction")))]
    assert len({len(line) for line in figures}) == 1
    assert figures[0].split() == ["agent", "calls", "prompt", "cached", "completion"]
    assert any(line.startswith("no agent") for line in figures)


PLACES = ["team", "team/1-ann", "team/1-ann/look", "team/2-ben", "team/12-ann", "team/3-ann"]


@given(
    st.lists(
        st.builds(
            call,
            st.sampled_from(PLACES),
            st.sampled_from(["", "ann", "ben"]),
            st.none() | st.integers(0, 999),
            st.none() | st.integers(0, 99),
            st.sampled_from(["message", "repair", "summary"]),
        )
    )
)
def test_agents_and_messages_add_up_to_the_whole(calls):
    bill = Bill.of(calls, SAID, "team")
    assert sum(bill.agents.values(), Total()) == bill.total == Total.of(calls)
    assert sum((entry.spent for entry in bill.messages), bill.beside) == bill.total


def test_the_bill_of_a_run_is_the_ledger(converse):
    result, _ = converse(TEAM, {"ann": ["", "Answer: x", "Answer: x"], "ben": ["Hm.", "Answer: x"]})
    team = result.values["team"]
    ledger = result.ledger
    assert team.bill.total == ledger.total()
    assert dict(team.bill.agents) == ledger.by("agent")
    assert {f"team/{e.message.number}-{e.message.sender}": e.spent for e in team.bill.messages} == ledger.by("node")
    assert team.bill.messages[0].spent.calls == 2, "a repair belongs to its message"
    assert team.bill.said.tokens == team.message_tokens


def test_the_conversation_and_the_bill_are_in_the_notes(converse):
    result, _ = converse(TEAM, {"ann": ["Look:\nhere.", "Answer: x"], "ben": ["Answer: x"]})
    notes = {record.path: record.notes for record in result.nodes}
    assert notes["team/1-ann"] == ("ann -> ben: Look: / here.",)
    assert notes["team"][0] == "agreed after 3 messages"
    assert list(notes["team"][1:]) == result.values["team"].bill.lines()


def test_a_failed_speaker_does_not_shift_the_others():
    calls = [call("team/1-ann", "ann", 5, 0), call("team/2-ben", "ben", 7, 1)]
    bill = Bill.of(calls, [said(2, "ben", ("ann",), 1)], "team")
    assert (bill.messages[0].spent.prompt, bill.beside.prompt) == (7, 5)


def test_who_gets_no_answer_gets_the_bill(converse):
    result, _ = converse(TEAM.model_copy(update={"max_turns": 2}), {"ann": ["Hm."], "ben": ["Hm?"]})
    (team,) = [record for record in result.nodes if record.path == "team"]
    assert team.status == "failed"
    assert team.notes[0] == "turns after 2 messages"
    assert any(note.startswith("2 messages with") for note in team.notes)
