"""Where figures come from: a model of this process is named with its weights, what was left out, and what it ran on."""

from __future__ import annotations

import hashlib

from laconic.evals.contestant import contestants
from laconic.evals.provenance import look_up
from laconic.orchestrator import Flow, Runtime


async def test_a_model_of_this_process_is_told_by_its_weights_and_where_it_computes(large_folder, tmp_path):
    data = tmp_path / "data.jsonl"
    data.write_text("{}\n")
    model = {"backend": "transformers", "model": str(large_folder)}
    flow = Flow(
        name="two",
        models={"large": model, "small": {**model, "options": {"skip": [2, 3]}}},
        nodes={"answer": {"kind": "prompt", "prompt": "Hi"}},
        outputs={"answer": "{{ answer }}"},
    )
    async with Runtime() as runtime:
        found = await look_up(contestants([("two", flow)]), runtime, command=["laconic"], data=data)
    used = {model.role: model for model in found.models}
    assert used["large"].model == large_folder.name
    assert used["small"].model == f"{large_folder.name}-without-2-3"
    weights = hashlib.sha256((large_folder / "model.safetensors").read_bytes()).hexdigest()
    for model in used.values():
        assert (model.file, model.sha256) == ("model.safetensors", weights)
        assert model.server.endswith(", float32 on cpu")
