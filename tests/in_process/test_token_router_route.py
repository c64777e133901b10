"""`by: neural`: a router's file decides who writes which token, for the models that it was trained with only."""

from __future__ import annotations

import asyncio
import json
import math

import msgspec
import pytest
import torch
from safetensors.torch import load_file, save_file

from laconic import Flow, Runtime
from laconic.backends.request import Message, Request
from laconic.backends.token_router import About, Shape, file_digest
from laconic.backends.transformers import TransformersBackend
from laconic.backends.transformers.digest import weights_digest
from laconic.backends.transformers.router import build, forward, save_router
from laconic.errors import BadRequest, FlowError
from laconic.routers import TokenRoute

from .conftest import write_model

MODELS = {role: {"backend": "transformers", "model": role} for role in ("small", "large")}
QUESTION = "How many?"
SHAPE = Shape(hidden=32, width=16, blocks=2, expansion=2)


@pytest.fixture
async def router(small, large, tmp_path):
    """A router with random weights for the two tiny models: its file, its network and what it says of itself."""
    torch.manual_seed(9)
    network = build(SHAPE)
    network["head"][1].weight.data *= 10  # so that its doubts are far apart
    facts = await small.facts(), await large.facts()
    about = About(
        shape=SHAPE,
        small=facts[0].weights,
        large=facts[1].weights,
        vocabulary=facts[0].vocabulary,
        threshold=0.5,
        recall=0.9,
        share=0.3,
        judge="exact",
        learned=(),
        held_out=(),
    )
    path = tmp_path / "router.safetensors"
    save_router(path, network, about)
    return path, network, about


async def routed(small, large, path, **fields):
    node = TokenRoute(**{"prompt": QUESTION, "by": "neural", "router": path, "max_tokens": 40, **fields})
    flow = Flow(name="two", models=MODELS, nodes={"answer": node}, outputs={"a": "{{ answer }}"})
    return await flow.run(runtime=Runtime(backends={"small": small, "large": large}))


async def alone(backend):
    chat = Request(model=backend.model, messages=(Message("user", QUESTION),), max_tokens=40)
    return await backend.complete(chat)


async def test_at_the_extremes_one_model_writes_all(small, large, router):
    for above, writer in ((math.inf, small), (2.0, small), (-math.inf, large), (-1.0, large)):
        answer = (await routed(small, large, router[0], above=above)).outputs["a"]
        assert answer == (await alone(writer)).text
        assert answer.share == (writer is large)


@pytest.mark.parametrize("above", [None, 0.3, 0.8])
async def test_each_decision_is_the_routers_own_on_the_states_of_one_pass(small, large, router, above):
    path, network, about = router
    result = await routed(small, large, path, above=above)
    answer = result.outputs["a"]
    threshold = about.threshold if above is None else above
    prompt = (await small.count(Request(model="small", messages=(Message("user", QUESTION),)))).ids
    by, ids = [span.by for span in answer.spans for _ in range(span.tokens)], list(prompt)
    for writer in by:
        one = {"small": small, "large": large}[writer]
        ids += (await one.complete(Request(model=writer, prompt_token_ids=tuple(ids), max_tokens=1))).token_ids
    model = small._weights.model
    with torch.inference_mode():
        out = model(torch.tensor([ids]), output_hidden_states=True)
        rows = slice(len(prompt) - 1, len(ids) - 1)
        logits, hidden = out.logits[0, rows], out.hidden_states[-1][0, rows]
        embedding = model.get_input_embeddings()(logits.argmax(-1))
        doubts = forward(network.eval(), logits.topk(100).values, hidden, embedding).sigmoid().tolist()
    assert min(abs(doubt - threshold) for doubt in doubts) > 1e-4  # none is too close to tell
    assert [writer == "large" for writer in by] == [doubt > threshold for doubt in doubts]
    assert {"small", "large"} == set(by)


async def test_what_the_router_is_and_costs_is_told(small, large, router):
    result = await routed(small, large, router[0])
    assert result.outputs["a"].router_parameters == SHAPE.parameters
    assert (await routed(small, large, None, by="entropy")).outputs["a"].router_parameters == 0
    answer = result.outputs["a"]
    assert result.ledger.by("model")["small"].completion == answer.small.written + answer.small.replaced


@pytest.mark.parametrize("share", [0.1, 0.4])
async def test_a_wanted_share_is_kept(small, large, router, share):
    answer = (await routed(small, large, router[0], share=share, max_tokens=300)).outputs["a"]
    assert answer.share == pytest.approx(share, abs=0.08)


async def test_answers_that_share_passes_are_those_of_each_alone(small, large, router):
    questions = [f"How many {thing}?" for thing in ("rolls", "loaves", "bakers")]
    one_by_one = [(await routed(small, large, router[0], prompt=of)).outputs["a"] for of in questions]
    at_once = await asyncio.gather(*(routed(small, large, router[0], prompt=of) for of in questions))
    assert [result.outputs["a"] for result in at_once] == one_by_one


async def test_a_model_with_layers_left_out_can_be_watched(large, large_folder, router, tmp_path):
    path, network, about = router
    fewer = TransformersBackend(large_folder, name="small", skip=(2, 3))
    result = await routed(fewer, large, path)
    assert "another small model" in str(result.error)
    digest = (await fewer.facts()).weights
    assert digest != (await large.facts()).weights
    save_router(tmp_path / "fewer.safetensors", network, msgspec.structs.replace(about, small=digest))
    answer = (await routed(fewer, large, tmp_path / "fewer.safetensors")).outputs["a"]
    assert answer.small.written + answer.large.written == 40


async def test_each_other_model_is_refused_before_a_token_is_spent(small, large, router, tmp_path):
    path, network, about = router
    for what, words in (
        ("small", "another small model"),
        ("large", "another large model"),
        ("vocabulary", "tokenizer"),
    ):
        save_router(path, network, msgspec.structs.replace(about, **{what: "other"}))
        result = await routed(small, large, path)
        assert words in str(result.error)
        assert "laconic token-router label" in str(result.error)
        assert result.ledger.total().calls == 0


async def test_a_call_is_refused_a_router_of_another_model_and_a_file_that_changed(small, large, router):
    path = router[0]

    async def ask(backend, digest):
        until = {"measure": "neural", "above": 0.5, "router": {"file": str(path), "digest": digest}}
        asked = Request(model=backend.model, prompt_token_ids=(40, 41), max_tokens=3, extra={"until": until})
        return await backend.complete(asked)

    with pytest.raises(BadRequest, match="another small model"):
        await ask(large, file_digest(path))
    with pytest.raises(BadRequest, match="not the file"):
        await ask(small, "0" * 32)
    with pytest.raises(BadRequest, match="`router`"):
        await small.complete(
            Request(model="small", prompt_token_ids=(40,), extra={"until": {"measure": "neural", "above": 0.5}})
        )


async def test_a_flow_file_names_the_router_from_its_own_folder(router, tmp_path):
    text = (
        "name: two\nmodels: {small: {backend: transformers, model: s}, large: {backend: transformers, model: l}}\n"
        "nodes: {a: {kind: token_route, prompt: x, by: neural, router: FILE}}\n"
    )
    flow = tmp_path / "flow.yaml"
    flow.write_text(text.replace("FILE", "router.safetensors"))
    assert "router: router.safetensors" in Flow.load(flow).dump()
    flow.write_text(text.replace("FILE", "none.safetensors"))
    with pytest.raises(FlowError, match=r"flow.yaml:\d+: .*there is no router"):
        Flow.load(flow)
    flow.write_text(text.replace("FILE", "x" * 300))
    with pytest.raises(FlowError, match=r"flow.yaml:\d+: .*cannot be read"):
        Flow.load(flow)
    with pytest.raises(FlowError, match="`by: neural` goes with `router`"):
        Flow(name="x", models=MODELS, nodes={"a": {"kind": "token_route", "prompt": "x", "by": "neural"}})


async def test_weights_are_told_apart_by_what_is_in_them(tmp_path):
    folder = write_model(tmp_path / "one", seed=7)
    same = write_model(tmp_path / "same", seed=7)
    other = write_model(tmp_path / "other", seed=7)
    tensors = load_file(other / "model.safetensors")
    name = "model.layers.1.mlp.up_proj.weight"
    save_file({**tensors, name: tensors[name] * 1.001}, other / "model.safetensors", metadata={"format": "pt"})
    names = sorted(tensors)
    halves = [{name: tensors[name] for name in part} for part in (names[::2], names[1::2])]
    (same / "model.safetensors").unlink()
    for number, half in enumerate(halves):
        save_file(half, same / f"model-{number}.safetensors", metadata={"format": "pt"})
    assert weights_digest(folder, ()) == weights_digest(same, ()) != weights_digest(other, ())
    assert weights_digest(folder, (2, 1)) == weights_digest(folder, (1, 2)) != weights_digest(folder, ())
    assert weights_digest(tmp_path, ()) is None


async def test_what_lies_beside_the_weights_does_not_change_them(tmp_path):
    whole, parts = write_model(tmp_path / "whole", seed=7, layers=2), tmp_path / "parts"
    before = weights_digest(whole, ())
    parts.mkdir()
    (parts / "config.json").write_bytes((whole / "config.json").read_bytes())
    save_file(load_file(whole / "model.safetensors"), parts / "model-00001.safetensors")
    index = {"weight_map": dict.fromkeys(load_file(whole / "model.safetensors"), "model-00001.safetensors")}
    (parts / "model.safetensors.index.json").write_text(json.dumps(index))
    for folder in (whole, parts):
        save_file({"head": torch.ones(3)}, folder / "a-router.safetensors")
        assert weights_digest(folder, ()) == before
