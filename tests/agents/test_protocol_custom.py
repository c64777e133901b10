from __future__ import annotations

import pytest
from pydantic import ValidationError

from laconic import Flow
from laconic.agents import Content, Custom
from laconic.errors import FlowError, MessageError, NodeError

ARROWS = Custom(instructions="Write facts as a -> b, the answer as = x.", message=r"(\S+ -> \S+)", answer=r"^= (.+)$")


def test_without_a_template_the_message_is_delivered_as_it_matched():
    content = Custom(instructions="?", message=r"(?s)(F:.*)", answer=r"^= (.+)$").parse("Well.\nF: x\n= Ovella")
    assert content == Content("F: x\n= Ovella", "Ovella")
    assert ARROWS.encode(ARROWS.parse("so opera -> Marrant")) == "opera -> Marrant"


def test_with_a_template_and_no_message_pattern_all_but_the_answer_is_told():
    form = Custom(
        instructions="?", answer=r"^= (.+)$", write="{{ text }}{% if answer %}\n= {{ answer }}{% endif %}",
        example="x\n= y",
    )  # fmt: skip
    assert form.parse("By Marrant.\n= no\n= Ovella") == Content("By Marrant.", "Ovella")
    assert form.encode(Content("By Marrant.", "Ovella")) == "By Marrant.\n= Ovella"
    with pytest.raises(MessageError, match="belong to the form"):
        form.encode(Content("He said\n= no"))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"answer": "("}, "is no regular expression"),
        ({"answer": "= .*"}, "has no group"),
        ({"answer": "^((?:a|aa)+)$"}, "takes longer than"),
        ({"answer": "(x)", "write": "{{ txt }}"}, "there is no 'txt'"),
        ({"answer": "(x)", "write": "{{ text"}, "template"),
        ({"answer": "= (.*)", "example": "nothing"}, "finds nothing in `example`"),
        ({"answer": "= (.*)", "write": "{{ text }}: {{ answer }}", "example": "a = b"}, "do not fit `example`"),
    ],
)
def test_what_cannot_work_is_said_when_the_flow_is_written(fields, words):
    with pytest.raises((ValidationError, FlowError), match=words):
        Custom(instructions="?", **fields)


def test_a_flow_says_where_its_pattern_is_wrong():
    flow = """
name: talk
models: {large: {backend: scripted, model: scripted}}
nodes:
  team:
    kind: pair
    agents: [{name: ann}, {name: ben}]
    task: "?"
    protocol: {kind: custom, instructions: Write, answer: "= (.*"}
outputs: {answer: "{{ team }}"}
"""
    with pytest.raises(FlowError, match=r"talk\.yaml:\d+: .*custom.*is no regular expression"):
        Flow.parse(flow, name="talk.yaml")


def test_a_flow_with_a_custom_form_round_trips():
    flow = Flow(
        name="talk",
        models={"large": {"backend": "scripted", "model": "scripted"}},
        nodes={"team": {"kind": "pair", "agents": [{"name": "a"}, {"name": "b"}], "task": "?", "protocol": ARROWS}},
        outputs={"answer": "{{ team }}"},
    )
    assert Flow.parse(flow.dump()) == flow


def test_a_pattern_that_takes_too_long_on_a_message_ends_instead():
    slow = Custom(instructions="?", answer=r"^(?:(?:b|bb)+)(c)$")
    with pytest.raises(NodeError, match="takes longer than"):
        slow.parse("b" * 200 + "!")


def test_an_endless_message_is_cut():
    assert len(Custom(instructions="?", answer=r"= (.*)").parse("x" * 100_000).text) == 20_000
