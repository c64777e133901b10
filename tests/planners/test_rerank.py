"""`kind: rerank` as a part of a flow."""

from __future__ import annotations

import re
from typing import Any

import pytest

from laconic.accounting import Store
from laconic.backends import Completion, Request, ScriptedBackend, TokenLogprob, Usage
from laconic.errors import FlowError
from laconic.orchestrator import KINDS, Flow, Result, Runtime
from laconic.planners import Rerank

YAML = """\
name: ranked
inputs: {question: str, found: list}
models:
  large: {backend: scripted, model: script}
nodes:
  best:
    kind: rerank
    query: "{{ question }}"
    candidates: "{{ found }}"
    item: "{{ item.title }}: {{ item.text }}"
    top: 2
    window: 4
    step: 2
outputs: {best: "{{ best }}"}
"""


def shown(request: Request) -> dict[str, str]:
    return dict(re.findall(r"^([A-Z]): (.*)$", (request.messages or ())[-1].content, re.MULTILINE))


def longest_first(request: Request) -> Completion:
    """A model that finds the longest passage the best."""
    likely = [(letter, -100.0 + len(text)) for letter, text in shown(request).items()]
    top = tuple(sorted(likely, key=lambda one: -one[1]))
    first = TokenLogprob(*top[0], None, top)
    return Completion(text=first.token, usage=Usage(30, 1, 0, 0, 0), logprobs=(first,))


def titled(*lengths: int) -> list[dict[str, str]]:
    return [{"title": f"T{length}", "text": "x" * length} for length in lengths]


async def run(found: Any, *, text: str = YAML, changes: dict[str, Any] | None = None, **more: Any) -> Result:
    flow = Flow.parse(text, changes=changes)
    return await flow.run(question="which?", found=found, backends={"large": ScriptedBackend(longest_first)}, **more)


def titles(result: Result) -> list[str]:
    assert result.error is None, result.error
    return [candidate["title"] for candidate in result.outputs["best"]]


async def test_the_value_is_the_best_candidates_themselves() -> None:
    found = titled(3, 1, 9, 2)
    result = await run(found)
    assert result.outputs["best"] == [found[2], found[0]]


async def test_windows_are_nodes_one_after_the_other_with_one_token_a_call() -> None:
    result = await run(titled(1, 2, 3, 4, 5, 6, 7, 8), changes={"nodes.best.permutations": 2})
    assert titles(result) == ["T8", "T7"]
    assert [record.path for record in result.nodes] == ["best", "best/window-1", "best/window-2", "best/window-3"]
    calls = result.ledger.calls
    assert [call.node for call in calls] == [f"best/window-{number}" for number in (1, 1, 2, 2, 3, 3)]
    assert {(call.purpose, call.usage.completion) for call in calls} == {("rank", 1)}


async def test_all_candidates_come_back_where_no_top_is_said() -> None:
    result = await run(titled(1, 2, 3, 4, 5, 6), changes={"nodes.best.top": None})
    assert sorted(titles(result)) == ["T1", "T2", "T3", "T4", "T5", "T6"]
    assert titles(result)[:2] == ["T6", "T5"]


@pytest.mark.parametrize("found", [[], titled(3)])
async def test_what_leaves_no_choice_asks_nobody(found: list[Any]) -> None:
    result = await run(found)
    assert result.outputs["best"] == found
    assert len(result.ledger.calls) == 0


async def test_texts_need_no_template() -> None:
    result = await run(["a", "ccc", "bb"], text=YAML.replace('item: "{{ item.title }}: {{ item.text }}"', ""))
    assert result.outputs["best"] == ["ccc", "bb"]


async def test_what_is_no_list_is_said() -> None:
    result = await run([], text=YAML.replace("{{ found }}", "{{ question }}"))
    assert "candidates must be a list, not str: 'which?'" in str(result.error)


async def test_a_budget_is_a_wall_between_windows() -> None:
    result = await run(titled(1, 2, 3, 4, 5, 6, 7, 8), changes={"budget": {"calls": 2}})
    assert result.status == "budget"
    assert [call.node for call in result.ledger.calls if call.status == "ok"] == ["best/window-1", "best/window-2"]


async def test_a_repeated_run_spends_nothing() -> None:
    store = Store()
    for status in ("ok", "replayed"):
        async with Runtime(store=store, reuse=True, backends={"large": ScriptedBackend(longest_first)}) as runtime:
            result = await Flow.parse(YAML).run(question="which?", found=titled(3, 1, 9, 2), runtime=runtime)
        assert titles(result) == ["T9", "T3"]
        assert {call.status for call in result.ledger.calls} == {status}


def test_yaml_and_python_are_two_spellings_of_one_node() -> None:
    node = Rerank(
        query="{{ question }}",
        candidates="{{ found }}",
        item="{{ item.title }}: {{ item.text }}",
        top=2,
        window=4,
        step=2,
    )
    flow = Flow.parse(YAML)
    assert flow.nodes["best"] == node
    assert Flow.parse(flow.dump()) == flow


def test_every_field_is_explained() -> None:
    schema = KINDS.find("rerank").model_json_schema()
    assert schema["description"]
    assert all("description" in field for field in schema["properties"].values())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"nodes.best.model": "larg"}, "no model 'larg'; did you mean 'large'?"),
        ({"nodes.best.window": 27}, "less than or equal to 26"),
        ({"nodes.best.step": 4}, "windows must overlap"),
        ({"nodes.best.top": 0}, "greater than or equal to 1"),
    ],
)
def test_what_cannot_work_is_refused_when_the_flow_is_loaded(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(FlowError) as caught:
        Flow.parse(YAML, changes=changes)
    assert message in str(caught.value)
    assert caught.value.at[:2] == ("nodes", "best")
