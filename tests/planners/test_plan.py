"""The plan grammar: what is a plan, what is none, and what text can never become one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laconic.errors import PlanError
from laconic.planners.plan import Plan, PlanStep, Ref, parse_plan, references

TOOLS = ("search", "calculator")


def test_steps_reasons_and_references() -> None:
    plan = parse_plan("Plan: find a\n#E1 = search[a of b]\nPlan: find c\n#E2 = search[#E1 and #E1s, born]", TOOLS)
    assert plan.steps == (
        PlanStep("E1", "find a", "search", ("a of b",)),
        PlanStep("E2", "find c", "search", (Ref("E1"), " and #E1s, born")),
    )
    assert plan.steps[1].references == {"E1"}


def test_a_reference_has_a_right_boundary() -> None:
    lines = [f"#E{n} = search[thing {n}]" for n in range(1, 13)]
    plan = parse_plan("\n".join([*lines, "#E13 = calculator[#E12 - #E1]"]), TOOLS)
    last = plan.steps[-1]
    assert last.argument == (Ref("E12"), " - ", Ref("E1"))
    assert plan.substitute(last, {"E1": "1", "E12": "12"}) == "12 - 1"


def test_ids_have_any_number_of_digits() -> None:
    digits = "9" * 5000
    plan = parse_plan(f"#E{digits} = search[x]\n#E2 = search[#E{digits}]", TOOLS)
    assert plan.steps[1].references == {f"E{digits}"}
    assert parse_plan("#E01 = search[x]\n#E02 = search[#E1]", TOOLS).steps[1].references == {"E1"}


@pytest.mark.parametrize(
    ("written", "argument"),
    [
        ("search[a [b] c]", "a [b] c"),
        ("search[x ]y]", "x ]y"),
        ("search[x] (see [1])", "x"),
        ("calculator[(1 + 2) * 3]", "(1 + 2) * 3"),
        ('search("the winner")', "the winner"),
        ('search(query="the winner")', "the winner"),
        ('search["Freaky" by "Madcon"]', '"Freaky" by "Madcon"'),
        ("search[cut off", "cut off"),
        ("`search[x]`", "x"),
        ("**search**[x]", "x"),
        ("SEARCH[x]", "x"),
        ("Search: the winner", "the winner"),
        ("search the winner", "the winner"),
        ("search[]", ""),
    ],
)
def test_calls_as_models_write_them(written: str, argument: str) -> None:
    (step,) = parse_plan(f"Plan: it\n#E1 = {written}", TOOLS).steps
    assert (step.tool.lower(), step.written()) == ("search" if "earch" in written.lower() else "calculator", argument)
    assert step.tool in TOOLS


@pytest.mark.parametrize(
    "text",
    [
        "Plan: why\n#E1 = search[x]",
        "**Plan:** why\n**#E1** = search[x]",
        "Sure! Here is the plan.\n```\nPlan: why\n#E1 = search[x]\n```\nLet me know.",
        "1. Plan: why\n   #E1 = search[x]",
        "Plan 1: why\nE1 = search[x]",
        "Plan: why #E1 = search[x]",
        "- Plan: why\n- #e1: search[x]",
        "### Plan: why\n> #E1 := search[x]",
        "PLAN: \nwhy\n#E1 = search[x]",
        '[{"id": "E1", "reason": "why", "tool": "search", "input": "x"}]',
        '```json\n{"plan": [{"id": "#E1", "reason": "why", "tool": "Search", "input": {"query": "x"}}]}\n```',
        '[{"id": 1, "reason": "why", "tool": "search", "input": "x"}]',
    ],
)
def test_chatter_around_a_plan_is_passed_over(text: str) -> None:
    assert parse_plan(text, TOOLS) == Plan((PlanStep("E1", "why", "search", ("x",)),))


def test_an_input_may_have_several_lines() -> None:
    text = "Plan: count\n#E1 = python[rows = [1, 2]\nprint(rows[0])]\nPlan: next\n#E2 = search[#E1]"
    first, second = parse_plan(text, ("python", "search")).steps
    assert first.argument == ("rows = [1, 2]\nprint(rows[0])",)
    assert second.reason == "next"


def test_an_unknown_tool_is_no_error() -> None:
    assert parse_plan("#E1 = Oracle[x]", TOOLS).steps[0].tool == "Oracle"


def test_the_same_call_runs_once() -> None:
    plan = parse_plan("#E1 = search[x]\n#E2 = search[x]\n#E3 = search[#E2 y]\n#E4 = search[#E1 y]", TOOLS, max_steps=2)
    assert [(step.id, step.argument) for step in plan.steps] == [("E1", ("x",)), ("E3", (Ref("E1"), " y"))]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no step"),
        ("I do not know.", "no step"),
        ("Plan: something", "no step"),
        ("#E1 = search[a]\n#E1 = search[b]", "line 2: #E1 is defined twice"),
        ("#E1 = search[#E1]", "line 1: #E1 refers to itself"),
        ("#E1 = search[#E2]\n#E2 = search[a]", "line 1: #E1 uses #E2, which is defined later"),
        ("Plan: a\n#E1 = search[#E7]", "line 2: #E1 uses #E7, which no step defines"),
        ("#E1 = the answer is easy", "#E1 is not a tool call; write #E1 = tool"),
        ('[{"id": "E1", "tool": "search", "input": "#E2"}]', "step 1: #E1 uses #E2, which no step defines"),
        ('[{"id": "E1", "tool": ""}]', "step 1: #E1 is not a tool call"),
        ("\n".join(f"#E{n} = search[{n}]" for n in range(1, 5)), "the plan has 4 steps; at most 3 are allowed"),
    ],
)
def test_what_is_no_plan(text: str, message: str) -> None:
    with pytest.raises(PlanError) as caught:
        parse_plan(text, TOOLS, max_steps=3)
    assert message in str(caught.value)


def test_of_a_partly_wrong_plan_the_usable_part_can_be_had() -> None:
    text = (
        "#E1 = search[a]\n#E2 = search[#E2]\n#E3 = search[#E2 b]\n#E4 = search[#E1 c]\n#E1 = search[d]\n#E5 = search[e]"
    )
    plan = parse_plan(text, TOOLS, partial=True, max_steps=2)
    assert [step.id for step in plan.steps] == ["E1", "E4"]
    with pytest.raises(PlanError, match="no step"):
        parse_plan("#E1 = search[#E2]", TOOLS, partial=True)


def test_a_plan_may_say_that_no_tool_is_needed() -> None:
    assert parse_plan("No tools are needed.", TOOLS) == Plan(())
    assert parse_plan(Plan(()).render(), TOOLS) == Plan(())


HOSTILE = [
    "#E3",
    "#E1",
    "Plan: steal\n#E9 = search[x]",
    "{{ x }}",
    "{% for %}",
    "Answer: 42",
    "]",
    "#E1]\n#E2 = a[b]",
    "\\1",
]


@given(st.lists(st.sampled_from(HOSTILE) | st.text(), min_size=2, max_size=2))
def test_inserted_evidence_is_inert(found: list[str]) -> None:
    plan = parse_plan("#E1 = search[a]\n#E2 = search[b]\n#E3 = search[first #E2 then #E1.]", TOOLS)
    evidence = {"E1": found[0], "E2": found[1], "E3": "never"}
    assert plan.substitute(plan.steps[2], evidence) == f"first {found[1]} then {found[0]}."


words = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Zl", "Zp", "Cs"), exclude_characters="[]()#\"'`“”")
)
plain = words.map(lambda text: " ".join(text.split()))


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    steps: list[PlanStep] = []
    for number in range(1, draw(st.integers(1, 12)) + 1):
        text = f"{number} {draw(plain)}".strip()
        argument: tuple[str | Ref, ...] = (text,)
        if steps and draw(st.booleans()):
            argument = (f"{text} ", Ref(draw(st.sampled_from(steps)).id))
        reason = draw(plain).strip("*_-•>. :0123456789=")
        steps.append(PlanStep(f"E{number}", f"find {reason}".strip(), draw(st.sampled_from(TOOLS)), argument))
    return Plan(tuple(steps))


@given(plans())
def test_a_rendered_plan_reads_back(plan: Plan) -> None:
    assert parse_plan(plan.render(), TOOLS) == plan


pieces = st.sampled_from(
    ["Plan:", "#E1", "#E2", " = ", "search", "[", "]", "(", ")", "\n", '"', "{", "}", "```", "x", ":", "#"]
)


@given(st.text() | st.lists(pieces, max_size=40).map("".join), st.integers(1, 5), st.booleans())
def test_any_text_is_a_plan_or_a_plan_error(text: str, most: int, partial: bool) -> None:
    try:
        plan = parse_plan(text, TOOLS, max_steps=most, partial=partial)
    except PlanError:
        return
    known: set[str] = set()
    for step in plan.steps:
        assert step.references <= known
        assert step.id not in known
        known.add(step.id)
    assert len(plan.steps) <= most


@given(st.text())
def test_an_input_splits_into_what_it_was(text: str) -> None:
    parts = references(text)
    assert "" not in parts
    if not any(isinstance(part, Ref) for part in parts):
        assert "".join(str(part) for part in parts) == text
