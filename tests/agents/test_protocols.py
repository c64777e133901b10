"""What every protocol must do: carry any content unchanged, read what small models write, refuse in usable words."""

from __future__ import annotations

import json

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from jsonschema import validate

from laconic.agents import (
    KQML,
    PROTOCOLS,
    Agent,
    AutoForm,
    Concise,
    Content,
    Custom,
    JSONMessage,
    KeyValue,
    Pair,
    Plain,
    Protocol,
)
from laconic.agents.protocols.autoform import InForm
from laconic.errors import MessageError

TAGGED = Custom(
    instructions="Write <m>message</m>, then <a>answer</a>.",
    message=r"(?s)<m>(.*?)</m>",
    answer=r"<a>(.*?)</a>",
    write="{% if text %}<m>{{ text }}</m>{% endif %}{% if answer %}<a>{{ answer }}</a>{% endif %}",
)
ANY = [Plain(), Concise(), AutoForm(per="message"), InForm(description="JSON"), JSONMessage(), KQML()]
"""Those that carry every content."""
ALL = [*ANY, KeyValue(), TAGGED]

PIECES = [
    "Answer:", "answer:", "**Answer:** ", "Final answer: ", "\\", "\n", "\r", "\u2028", " ", "\t", "\ud83d", "é", "🙂",
    "(tell :content x)", "(ask :content x)",
    '"', "'", "`", "*", "(", ")", ":", " :answer x", "(tell :content ", "(ask :content", ' "', '\\"', '{"say":', "}",
    '{"answer": "x"}', "say", "null", "```", "```json\n", "- ", "> ", "<m>", "</m>", "<a>x</a>", "a: b", "key:",
]  # fmt: skip
"""What the forms consist of, and what is easily lost."""
pieces = st.sampled_from(PIECES)
texts = st.lists(st.one_of(pieces, st.text(max_size=5)), max_size=12).map("".join)
contents = st.builds(Content, texts, st.one_of(st.none(), texts))


def names(protocol: Protocol) -> str:
    return type(protocol).__name__


@pytest.mark.parametrize("protocol", ANY, ids=names)
@given(content=contents)
def test_any_content_arrives_as_it_was_said(protocol, content):
    assume(content)
    assert protocol.parse(protocol.encode(content)) == content


@pytest.mark.parametrize("protocol", [KeyValue(), TAGGED], ids=names)
@given(content=contents)
def test_a_form_that_cannot_carry_a_content_says_so_and_changes_nothing(protocol, content):
    try:
        written = protocol.encode(content)
    except MessageError:
        return
    assert protocol.parse(written) == content


keys = st.text(st.characters(codec="utf-8", categories=["L", "Nd"]), min_size=1, max_size=8)


@given(
    pairs=st.lists(st.tuples(keys | st.just("answer"), texts.map(lambda text: " ".join(text.split())))),
    answer=st.none() | texts,
)
def test_key_value_lines_carry_any_value(pairs, answer):
    content = Content("\n".join(f"{key}: {value}" for key, value in pairs), answer)
    assume(content)
    assert KeyValue().parse(KeyValue().encode(content)) == content


@pytest.mark.parametrize("protocol", ALL, ids=names)
@given(text=texts)
def test_whatever_a_model_writes_is_read_or_refused_and_what_was_read_is_delivered(protocol, text):
    try:
        content = protocol.parse(text)
        delivered = protocol.encode(content)
    except MessageError:
        return
    assert content
    assert protocol.parse(delivered) == content


@pytest.mark.parametrize("protocol", ANY, ids=names)
def test_a_text_with_an_answer_in_it_gives_none(protocol):
    said = 'ben wrote:\nAnswer: no\n(tell :content x :answer no)\n{"answer":"no"}'
    written = protocol.encode(Content(said))
    assert protocol.parse(written) == Content(said)
    assert protocol.encode(Content("ben wrote:", "no")) != written


def test_line_breaks_of_all_kinds_make_lines():
    assert Plain().parse("I looked.\u2028Answer: Ovella") == Content("I looked.", "Ovella")
    assert Content("a  \r\n\r\n\x0bb\u2029", " x \n y ") == Content("a\nb", "x y")
    assert Content("a", " \n") == Content("a", None)


@pytest.mark.parametrize(
    ("protocol", "written", "content"),
    [
        (Plain(), "Hm.\n**Answer:** Ovella", Content("Hm.", "Ovella")),
        (Plain(), "Hm.\n**Answer: Ovella**", Content("Hm.", "Ovella")),
        (Plain(), "Hm.\n- Final answer: **Ovella**", Content("Hm.", "Ovella")),
        (Plain(), "robot1: wait; Answer: robot1: wait", Content("robot1: wait;", "robot1: wait")),
        (Plain(), "Answer: a\nNo.\nAnswer: `b`", Content("No.", "b")),
        (Plain(), "Hm.\nAnswer:\nOvella", Content("Hm.", "Ovella")),
        (Plain(), "Answer:\nI cannot know.\nWho is it?", Content("I cannot know.\nWho is it?")),
        (InForm(description="JSON"), '{"who": "Lena", "answer": "x"}', Content('{"who": "Lena", "answer": "x"}', "x")),
        (InForm(description="JSON"), '{"answer": "x"}\nAnswer: y', Content('{"answer": "x"}', "y")),
        (InForm(description="JSON"), '```json\n{"answer": 42}\n```', Content('```json\n{"answer": 42}\n```', "42")),
        (InForm(description="JSON"), 'ben said {"answer": "x"}', Content('ben said {"answer": "x"}')),
        (InForm(description="JSON"), '{"answer": null}', Content('{"answer": null}')),
        (InForm(description="JSON"), '{"answer": "he li', Content('{"answer": "he li')),
        (JSONMessage(), '{"say": "Hm.", "answer": null}', Content("Hm.")),
        (JSONMessage(), 'Sure:\n```json\n{"Say": "Hm.", "ANSWER": "x",}\n```\nDone {x}.', Content("Hm.", "x")),
        (JSONMessage(), "{'say': 'It's \"Marrant\"', 'answer': None}", Content('It\'s "Marrant"')),
        (JSONMessage(), '{"say": "He said "no", twice", "answer": "x"', Content('He said "no", twice', "x")),
        (JSONMessage(), '{say: "Hm." answer: 42}', Content("Hm.", "42")),
        (JSONMessage(), '{"say": "Two\nlines", "answer": 4.5}', Content("Two\nlines", "4.5")),
        (JSONMessage(), '{"say": "The opera is by Marr', Content("The opera is by Marr")),
        (JSONMessage(), '{"composer": "Marrant", "answer": ""}', Content('{"composer":"Marrant"}')),
        (JSONMessage(), '{"say": "Hm."}\n{"answer": "of another"}', Content("Hm.")),
        (KeyValue(), "by:Marrant\n- **in:** Ovella\nANSWER : Ovella", Content("by: Marrant\nin: Ovella", "Ovella")),
        (KeyValue(), '```\n{\n  "by": "Marrant",\n  "answer": "x"\n}\n```', Content("by: Marrant", "x")),
        (KeyValue(), "facts:\n- by Marrant\n- old\ntime: 10:30", Content("facts: by Marrant; old\ntime: 10:30")),
        (KQML(), '(tell :content "By Marrant" :answer "Ovella")', Content("By Marrant", "Ovella")),
        (KQML(), '```lisp\n(TELL :Content "By Marrant" :ANSWER Ovella', Content("By Marrant", "Ovella")),
        (KQML(), 'tell :content "By Marrant" :answer "Ovella"', Content("By Marrant", "Ovella")),
        (KQML(), "Here (yes): (tell :content by Marrant :answer a b) Ok?", Content("by Marrant", "a b")),
        (KQML(), "(tell 'It's by Marrant')", Content("It's by Marrant")),
        (KQML(), '(ask-one :sender ann :receiver ben :content "Who?")', Content('(ask-one :content Who?)')),
        (KQML(), "(tell :content (born (composer opera) Ovella))", Content("(born (composer opera) Ovella)")),
        (TAGGED, "<m>By Marrant</m> so <a>Ovella</a>", Content("By Marrant", "Ovella")),
        (TAGGED, "<a>Ovella</a>", Content("", "Ovella")),
    ],
)  # fmt: skip
def test_half_broken_messages_are_read(protocol, written, content):
    assert protocol.parse(written) == content


@pytest.mark.parametrize(
    ("protocol", "written", "words"),
    [
        (Plain(), " \n ", "is empty"),
        (Plain(), "Answer:", "is empty"),
        (JSONMessage(), "The opera is by Marrant.", "no JSON object such as"),
        (JSONMessage(), '{"say": "", "answer": null}', "is empty"),
        (JSONMessage(), '{"say": "Hm.", "answer": "Ovel', "cut off in the answer"),
        (JSONMessage(), '{"a":' * 300, "no JSON object"),
        (KeyValue(), "The opera is by Marrant.", "key: value"),
        (KeyValue(), "I am quite sure that it is this: Marrant.", "key: value"),
        (KQML(), "The opera (by Marrant) is old.", "no expression such as"),
        (KQML(), '(tell :content x :answer "Ovel', "cut off in the answer"),
        (KQML(), "(tell)", "is empty"),
        (TAGGED, "By Marrant", "does not have the form"),
    ],
)
def test_what_is_in_doubt_is_refused_in_words_that_help(protocol, written, words):
    with pytest.raises(MessageError, match=words) as refused:
        protocol.parse(written)
    assert not str(refused.value).endswith(".")  # it becomes part of a sentence


def test_messages_are_delivered_in_few_characters():
    said = Content("By Marrant", "Ovella")
    assert JSONMessage().encode(said) == '{"say":"By Marrant","answer":"Ovella"}'
    assert JSONMessage().encode(Content("Größe?")) == '{"say":"Größe?"}'
    assert KQML().encode(said) == '(tell :content "By Marrant" :answer Ovella)'
    assert KQML().encode(KQML().parse('(ASK :content "Who?" :answer "x y")')) == '(ask :content Who? :answer "x y")'
    assert KeyValue().encode(KeyValue().parse("* by : Marrant")) == "by: Marrant"


def test_an_expression_told_is_not_an_expression_made():
    quoted = '(tell :content "(ask :content who)")'
    assert KQML().parse(quoted) != KQML().parse("(ask :content who)")
    assert KQML().encode(KQML().parse(quoted)) == "(tell :content (ask :content who))"
    for text in ("(ask :content who)", "(tell :content who)", "(tell :content (tell :content who))", "(tell)", "(ask)"):
        assert KQML().parse(KQML().encode(Content(text))) == Content(text)


def test_the_schema_of_json_takes_what_is_asked_for_and_nothing_else(converse):
    validate({"say": "x", "answer": None}, JSONMessage().form())
    team = Pair(agents=[Agent(name="ann"), Agent(name="ben")], task="?", protocol=JSONMessage())
    _, script = converse(team, lambda *_: '{"say":"","answer":"x"}')
    assert [request.schema for request in script.backend.requests] == [JSONMessage().form()] * 2
    assert [p.form() for p in ALL if p.kind != "json"] == [None] * (len(ALL) - 1)


UNREADABLE = {"plain": "", "json": "no", "keyvalue": "no", "kqml": "no", "custom": "no", "concise": "", "autoform": ""}


@pytest.mark.parametrize("protocol", ALL, ids=names)
def test_an_unreadable_message_is_repaired_once_and_the_repair_is_booked(converse, protocol):
    good = protocol.encode(Content("k: v", "x"))
    team = Pair(agents=[Agent(name="ann"), Agent(name="ben")], task="?", protocol=protocol)
    result, script = converse(team, {"ann": [UNREADABLE[protocol.kind], good], "ben": [good]})
    assert [(m.sender, m.text, m.answer, m.understood) for m in result.values["team"].messages] == [
        ("ann", good, "x", True),
        ("ben", good, "x", True),
    ]
    repairs = [call for call in result.ledger.calls if call.purpose == "repair"]
    assert [(call.agent, call.node) for call in repairs] == [("ann", "team/1-ann")]
    with pytest.raises(MessageError) as refused:
        protocol.parse(UNREADABLE[protocol.kind])
    assert str(refused.value) in script.shown_to("ann")[1]


@pytest.mark.parametrize("protocol", ALL, ids=names)
def test_what_stays_unreadable_is_delivered_as_it_is(converse, protocol):
    bad, good = UNREADABLE[protocol.kind], protocol.encode(Content("k: v", "x"))
    team = Pair(agents=[Agent(name="ann"), Agent(name="ben")], task="?", protocol=protocol)
    result, _ = converse(team, {"ann": [bad, f"{bad} ", good], "ben": [good]})
    first = result.values["team"].messages[0]
    assert (first.text, first.answer, first.understood) == (bad, None, False)
    assert result.ledger.by("purpose")["repair"].calls == 1


def test_flows_know_all_protocols_by_name():
    assert set(PROTOCOLS.names()) >= {"plain", "concise", "json", "keyvalue", "kqml", "autoform", "custom"}
    agents = [{"name": "ann"}, {"name": "ben"}]
    for kind in ("json", "keyvalue", "kqml", "autoform"):
        team = Pair(agents=agents, task="?", protocol=kind)
        assert team.protocol.kind == kind
        assert json.loads(json.dumps(team.written()))["protocol"] == kind


@pytest.mark.parametrize("protocol", ALL, ids=names)
def test_instructions_are_short(protocol):
    assert len(protocol.instruction().split()) <= 60
