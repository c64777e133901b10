"""The four kinds as parts of a flow: in YAML, in Python, interrupted and resumed."""

from __future__ import annotations

from typing import Any

import pytest

from laconic import planners
from laconic.accounting import Store
from laconic.backends import ScriptedBackend
from laconic.errors import FlowError
from laconic.orchestrator import KINDS, Flow, Runtime
from laconic.planners import EXEMPLARS, CoT, Direct, ReAct, ReWOO

YAML = """\
name: four
inputs: {question: str}
models:
  large: {backend: scripted, model: script}
tools:
  search: {kind: nothing}
nodes:
  plain: {kind: direct, question: "{{ question }}"}
  thought: {kind: cot, question: "{{ question }}", exemplars: false}
  acted: {kind: react, question: "{{ question }}", tools: [search], max_steps: 3}
  planned:
    kind: rewoo
    question: "{{ question }}"
    tools: [search]
    worker: large
    exemplars:
    - question: Who wrote it?
      steps:
      - {thought: Find it., tool: search, argument: it, observation: "It: by me.", finding: me}
      conclusion: I wrote it.
      answer: me
"""


def python() -> Flow:
    question = "{{ question }}"
    own = {
        "question": "Who wrote it?",
        "steps": [
            {"thought": "Find it.", "tool": "search", "argument": "it", "observation": "It: by me.", "finding": "me"}
        ],
        "conclusion": "I wrote it.",
        "answer": "me",
    }
    return Flow(
        name="four",
        inputs={"question": str},
        models={"large": {"backend": "scripted", "model": "script"}},
        tools={"search": {"kind": "nothing"}},
        nodes={
            "plain": Direct(question=question),
            "thought": CoT(question=question, exemplars=False),
            "acted": ReAct(question=question, tools=["search"], max_steps=3),
            "planned": ReWOO(question=question, tools=["search"], worker="large", exemplars=[own]),
        },
    )


def test_yaml_and_python_are_two_spellings_of_one_flow() -> None:
    assert Flow.parse(YAML) == python()
    assert Flow.parse(python().dump()) == python()


def test_built_in_examples_can_be_written_out() -> None:
    node = CoT(question="x", exemplars=EXEMPLARS)
    flow = Flow(name="x", models={"large": {"backend": "scripted", "model": "script"}}, nodes={"answer": node})
    assert Flow.parse(flow.dump()).nodes["answer"] == node


@pytest.mark.parametrize("name", ["direct", "cot", "react", "rewoo"])
def test_every_field_is_explained(name: str) -> None:
    schema = KINDS.find(name).model_json_schema()
    assert schema["description"]
    assert all("description" in field for field in schema["properties"].values())


@pytest.mark.parametrize("kind", ["react", "rewoo"])
@pytest.mark.parametrize(("tools", "said"), [([], "tools: "), (["serach"], "no tool 'serach'; did you mean 'search'?")])
def test_tools_are_checked_when_the_flow_is_made(kind: str, tools: list[str], said: str) -> None:
    with pytest.raises(FlowError) as caught:
        Flow(
            name="x",
            models={"large": {"backend": "scripted", "model": "script"}},
            tools={"search": {"kind": "nothing"}},
            nodes={"answer": {"kind": kind, "question": "x", "tools": tools}},
        )
    assert said in str(caught.value)
    assert caught.value.at == ("nodes", "answer", "tools")


def scripted() -> ScriptedBackend:
    def answer(request: Any) -> str:
        system = request.messages[0].content
        if system.startswith("Plan"):
            return "Plan: find b\n#E1 = search[a]\nPlan: find c\n#E2 = search[#E1 c]"
        if "Action" in system and len(request.messages) < 4:
            return "Action: search[a]"
        return "Answer: done"

    return ScriptedBackend(answer, context=100_000)


async def test_a_repeated_run_spends_nothing() -> None:
    store = Store()
    for expected in ("ok", "replayed"):
        async with Runtime(store=store, reuse=True, backends={"large": scripted()}) as runtime:
            result = await python().run(question="Who?", runtime=runtime)
        assert result.values == {"plain": "done", "thought": "done", "acted": "done", "planned": "done"}
        assert {call.status for call in result.ledger.calls} == {expected}
    assert result.ledger.total().total == 0


def test_public_names_are_there() -> None:
    assert all(hasattr(planners, name) for name in planners.__all__)
