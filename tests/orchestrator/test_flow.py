"""What a flow may say, in both spellings, and what it is told when it is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from laconic.errors import FlowError, InputError
from laconic.orchestrator import Flow, ModelSpec
from laconic.orchestrator.kinds.prompt import Prompt

YAML = """\
name: two
inputs: {question: str, tone: {type: str, default: calm}}
models:
  large: {backend: scripted, model: script, price: {prompt: 1, completion: 2}}
budget: {tokens: 600}
nodes:
  draft:
    kind: prompt
    model: large
    prompt: "{{ question }} ({{ tone }})"
    max_tokens: 20
  final: {kind: prompt, prompt: "Shorten: {{ draft }}", when: "{{ draft | length > 60 }}", retry: {attempts: 3}}
outputs:
  answer: "{{ final or draft }}"
"""


def test_yaml_and_python_are_two_spellings_of_one_flow() -> None:
    python = Flow(
        name="two",
        inputs={"question": str, "tone": {"type": "str", "default": "calm"}},
        models={"large": ModelSpec(backend="scripted", model="script", price={"prompt": 1, "completion": 2})},
        budget={"tokens": 600},
        nodes={
            "draft": Prompt(model="large", prompt="{{ question }} ({{ tone }})", max_tokens=20),
            "final": Prompt(prompt="Shorten: {{ draft }}", when="{{ draft | length > 60 }}", retry={"attempts": 3}),
        },
        outputs={"answer": "{{ final or draft }}"},
    )
    assert Flow.parse(YAML) == python
    assert Flow.parse(python.dump()) == python
    assert Flow.parse(Flow.parse(YAML).dump()).dump() == python.dump()


@settings(max_examples=60, deadline=None)
@example({"a_": "\x85"}, 1)
@given(
    st.dictionaries(st.from_regex(r"[a-z]{1,6}_", fullmatch=True), st.text(max_size=40), min_size=1, max_size=5),
    st.integers(1, 10**6),
)
def test_any_flow_survives_a_round_trip(texts: dict[str, str], tokens: int) -> None:
    models = {"large": {"backend": "scripted", "model": "script"}}
    nodes = {
        name: {"kind": "prompt", "prompt": text.replace("{", "(").replace("}", ")")} for name, text in texts.items()
    }
    flow = Flow(name="any", models=models, nodes=nodes, budget={"tokens": tokens})
    assert Flow.parse(flow.dump()) == flow


@pytest.mark.parametrize(
    ("before", "after", "line", "said"),
    [
        (
            "kind: prompt\n    model",
            "kind: promt\n    model",
            8,
            "there is no kind of node 'promt'; did you mean 'prompt'?",
        ),
        (
            "{{ question }} (",
            "{{ qestion }} (",
            7,
            "mentions 'qestion', which is neither a node nor an input; did you mean 'question'?",
        ),
        ("max_tokens: 20", "max_token: 20", 11, "has no field 'max_token'; did you mean 'max_tokens'?"),
        ("max_tokens: 20", "max_tokens: many", 11, "max_tokens"),
        ("model: large", "model: lrge", 9, "the flow has no model 'lrge'; did you mean 'large'?"),
        ("Shorten: {{ draft }}", "Shorten: {{ draft", 12, "the template does not parse"),
        ("question: str,", "question: string,", 2, "there is no input type 'string'; did you mean 'str'?"),
        ("backend: scripted", "backend: scriptd", 4, "backend"),
        ("budget: {tokens: 600}", "budget: {tokens: -6}", 5, "tokens"),
        ("{{ final or draft }}", "{{ final or drafts }}", 14, "the output 'answer' mentions 'drafts'"),
        ("name: two", "name: two\nnmae: two", 2, "has no field 'nmae'; did you mean 'name'?"),
        ("  draft:\n", "  draft-1:\n", 7, "'draft-1' is not a name a template can mention"),
        ("  draft:\n", "  item:\n", 7, "'item' is a word of the template language"),
        ("{{ question }} (", "{{ final }} (", 7, "the nodes wait for each other in a circle: "),
        ("name: two", "name: two\nname: three", 2, "the key 'name' is written twice (first on line 1)"),
        ("inputs: {", "inputs: {{", 3, "this is not YAML"),
        ("name: two", "name: [", 3, "this is not YAML"),
    ],
)
def test_a_wrong_flow_is_told_where_and_what(before: str, after: str, line: int, said: str) -> None:
    assert before in YAML
    with pytest.raises(FlowError) as caught:
        Flow.parse(YAML.replace(before, after), name="two.yaml")
    assert str(caught.value).startswith(f"two.yaml:{line}: "), str(caught.value)
    assert said in str(caught.value)


def test_a_flow_file_that_is_not_there_names_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "rewoo.yaml").write_text(YAML)
    with pytest.raises(FlowError, match=r"there is no flow file .*did you mean 'rewoo.yaml'"):
        Flow.load(tmp_path / "rewo.yaml")


@pytest.mark.parametrize("text", ["", "just text", "- a\n- list\n", "nodes: {}\nname: x\n"])
def test_what_is_no_flow_is_refused_with_a_line(text: str) -> None:
    with pytest.raises(FlowError, match=r"^x\.yaml:\d+: "):
        Flow.parse(text, name="x.yaml")


async def test_inputs_are_checked_before_anything_is_spent() -> None:
    flow = Flow.parse(YAML)
    with pytest.raises(InputError, match="needs the input 'question'"):
        await flow.run()
    with pytest.raises(InputError, match="no input 'qestion'; did you mean 'question'"):
        await flow.run(question="x", qestion="y")
    with pytest.raises(InputError, match="'question' must be str, not int"):
        await flow.run(question=3)


def test_the_flow_in_a_flow_may_not_contain_itself(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("name: a\nnodes:\n  inner: {kind: flow, flow: b.yaml}\n")
    (tmp_path / "b.yaml").write_text("name: b\nnodes:\n  inner: {kind: flow, flow: a.yaml}\n")
    with pytest.raises(FlowError, match=r"contains itself: b\.yaml -> a\.yaml -> b\.yaml"):
        Flow.load(tmp_path / "a.yaml")


@pytest.mark.parametrize(
    ("text", "backend", "model", "url"),
    [
        ("local:smollm2-135m-instruct", "local", "smollm2-135m-instruct", None),
        ("/models/x.gguf", "local", "/models/x.gguf", None),
        ("http://127.0.0.1:8000/v1#qwen", "openai", "qwen", "http://127.0.0.1:8000/v1"),
        ("vllm:http://127.0.0.1:8000/v1#org/qwen", "vllm", "org/qwen", "http://127.0.0.1:8000/v1"),
    ],
)
def test_a_model_in_one_word(text: str, backend: str, model: str, url: str | None) -> None:
    spec = ModelSpec.parse(text)
    assert (spec.backend, spec.model, spec.url) == (backend, model, url)


@pytest.mark.parametrize("text", ["", "http://127.0.0.1:8000/v1", "loca:x", "vllm:"])
def test_a_model_in_a_wrong_word_is_told_what_to_write(text: str) -> None:
    with pytest.raises(InputError, match="write "):
        ModelSpec.parse(text)


def test_values_of_a_flow_file_can_be_changed_before_it_is_checked() -> None:
    changed = Flow.parse(YAML, changes={"nodes.draft.max_tokens": 7, "models.large.temperature": 0.5})
    assert changed.written()["nodes"]["draft"]["max_tokens"] == 7
    assert changed.models["large"].temperature == 0.5
    with pytest.raises(FlowError, match=r"there is nothing at 'nodes\.drift' to change"):
        Flow.parse(YAML, changes={"nodes.drift.max_tokens": 7})
    with pytest.raises(FlowError, match="has no field 'max_token'"):
        Flow.parse(YAML, changes={"nodes.draft.max_token": 7})
