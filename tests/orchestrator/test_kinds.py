"""The three kinds every flow is built from, driven by a scripted model."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel, Field

from laconic.backends import ScriptedBackend
from laconic.errors import FlowError
from laconic.orchestrator import Context, Flow, Runtime, Tool, tool

MODELS = {"large": {"backend": "scripted", "model": "script", "max_tokens": 50}}


@tool("test_upper")
class Upper(Tool):
    """Capitals."""

    class Arguments(BaseModel):
        text: str = Field(description="What to write in capitals.")
        times: int = 1

    async def call(self, ctx: Context, args: Arguments) -> str:
        if args.text == "boom":
            raise KeyError("boom")
        return args.text.upper() * args.times


def runtime(answer: object) -> Runtime:
    return Runtime(backends={"large": ScriptedBackend(answer)})  # type: ignore[arg-type]  # any kind of script


async def test_a_prompt_sends_its_messages_and_gives_the_answer() -> None:
    backend = ScriptedBackend("fine")
    flow = Flow(
        name="f",
        inputs={"x": str},
        models=MODELS,
        nodes={"a": {"kind": "prompt", "system": "Be {{ x }}.", "prompt": "How? {{ x }}", "stop": ["\n"], "seed": 3}},
        outputs={"a": "{{ a }}"},
    )
    async with Runtime(backends={"large": backend}) as shared:
        result = await flow.run(x="brief", runtime=shared)
    assert result.outputs == {"a": "fine"}
    (request,) = backend.requests
    assert [(turn.role, turn.content) for turn in request.messages or ()] == [
        ("system", "Be brief."),
        ("user", "How? brief"),
    ]
    assert (request.max_tokens, request.stop, request.seed) == (50, ("\n",), 3)
    assert result.ledger.by("node")["a"].calls == 1


async def test_a_prompt_with_a_schema_gives_the_object() -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
    flow = Flow(
        name="f",
        models=MODELS,
        nodes={"a": {"kind": "prompt", "prompt": "x", "schema": schema}},
        outputs={"n": "{{ a.n }}"},
    )
    assert Flow.parse(flow.dump()) == flow
    assert (await flow.run(runtime=runtime('{"n": 4}'))).outputs == {"n": 4}
    failed = await flow.run(runtime=runtime('{"n": '))
    assert "the answer is not JSON" in str(failed.error)


async def test_a_node_that_is_run_again_draws_again() -> None:
    answers = iter(["not json", '{"n": 1}'])
    flow = Flow(
        name="f",
        models=MODELS,
        nodes={"a": {"kind": "prompt", "prompt": "x", "schema": {"type": "object"}, "retry": {"attempts": 2}}},
        outputs={"a": "{{ a }}"},
    )
    result = await flow.run(runtime=runtime(lambda request: next(answers)))
    assert result.outputs == {"a": {"n": 1}}
    assert [call.status for call in result.ledger.calls] == ["ok", "ok"]


@pytest.mark.parametrize(
    ("args", "status", "said"),
    [
        ({"text": "{{ x }}", "times": 2}, "ok", "HIHI"),
        ("{{ x }}", "ok", "HI"),
        ({"txt": "a"}, "failed", "wrong arguments for the tool test_upper: text: Field required"),
        ("boom", "failed", "the tool shout failed: KeyError"),
    ],
)
async def test_a_tool_call(args: object, status: str, said: str) -> None:
    flow = Flow(
        name="f",
        inputs={"x": str},
        tools={"shout": {"kind": "test_upper"}},
        nodes={"a": {"kind": "tool", "tool": "shout", "args": args}},
        outputs={"a": "{{ a }}"},
    )
    result = await flow.run(x="hi", runtime=Runtime())
    assert result.status == status
    assert said in (result.outputs["a"] if status == "ok" else str(result.error))


def test_an_unknown_tool_is_told_when_the_flow_is_loaded() -> None:
    with pytest.raises(FlowError, match="the flow has no tool 'shuot'; did you mean 'shout'"):
        Flow(name="f", tools={"shout": {"kind": "test_upper"}}, nodes={"a": {"kind": "tool", "tool": "shuot"}})


INNER = """\
name: inner
inputs: {text: str}
models: {large: {backend: scripted, model: script}}
budget: {tokens: 100}
nodes: {ask: {kind: prompt, prompt: "{{ text }}", max_tokens: 10}}
outputs: {answer: "{{ ask }}"}
"""


async def test_a_flow_inside_a_flow_shares_the_ledger_and_the_budget(tmp_path: Path) -> None:
    (tmp_path / "inner.yaml").write_text(INNER)
    outer = Flow.parse(
        "name: outer\ninputs: {x: str}\nbudget: {tokens: 200}\n"
        "nodes: {sub: {kind: flow, flow: inner.yaml, inputs: {text: '{{ x }}!'}}}\noutputs: {a: '{{ sub.answer }}'}",
        base=tmp_path,
    )
    result = await outer.run(x="hi", runtime=runtime(lambda request: (request.messages or ())[0].content))
    assert result.outputs == {"a": "hi!"}
    assert [record.path for record in result.nodes] == ["sub", "sub/ask"]
    assert list(result.ledger.by("node")) == ["sub/ask"]
    starved = await outer.with_budget({"tokens": 5}).run(x="hi", runtime=runtime("never"))  # type: ignore[arg-type]
    assert starved.status == "budget"
    assert not starved.ledger.calls


def test_a_flow_inside_a_flow_is_checked_when_the_outer_one_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "inner.yaml").write_text(INNER.replace("{{ text }}", "{{ txt }}"))
    with pytest.raises(FlowError, match=r"inner\.yaml:5: the node 'ask' mentions 'txt'"):
        Flow.parse("name: outer\nnodes: {sub: {kind: flow, flow: inner.yaml}}", name="outer.yaml", base=tmp_path)
    inline = {"name": "inline", "nodes": {"a": {"kind": "prompt", "prompt": "x"}}, "models": MODELS}
    flow = Flow(name="outer", nodes={"sub": {"kind": "flow", "flow": inline}})
    assert Flow.parse(flow.dump()) == flow
