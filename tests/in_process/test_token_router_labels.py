"""Labels of tokens: what the large model's answer and the small model's reading of it make of each token."""

from __future__ import annotations

import pytest
from safetensors.numpy import load_file

from laconic import Flow, Runtime, Store
from laconic.backends.request import Message, Request
from laconic.backends.transformers import TransformersBackend
from laconic.backends.transformers.labels import DIVERGENT, IDENTICAL, NAMES, NEUTRAL, UNJUDGED, load_labels
from laconic.errors import BackendError
from laconic.routers.token_judges import sentence
from laconic.routers.token_labels import TokenLabels

MODELS = {role: {"backend": "transformers", "model": role} for role in ("small", "large")}
QUESTION = "How many?"


@pytest.fixture
async def label(small, large, tmp_path):
    """Labels one question with the two tiny models."""

    async def run(*, models=None, runtime=None, **fields):
        fields = {"prompt": QUESTION, "folder": tmp_path / "labels", "max_tokens": 30, "sentence_tokens": 6, **fields}
        flow = Flow(name="two", models=MODELS, nodes={"labels": TokenLabels(**fields)}, outputs={"l": "{{ labels }}"})
        runtime = runtime or Runtime(backends=models or {"small": small, "large": large})
        result = await flow.run(runtime=runtime)
        result.raise_for_status()
        return result

    return run


def arrays(result, tmp_path):
    return load_file(tmp_path / "labels" / result.outputs["l"]["file"])


async def answer_of(large, most=30):
    return await large.complete(Request(model="large", messages=(Message("user", QUESTION),), max_tokens=most))


async def test_features_are_what_the_small_model_thinks_before_each_token(label, small, large, tmp_path):
    import torch
    from transformers import AutoModelForCausalLM

    found = arrays(await label(), tmp_path)
    answer = await answer_of(large)
    prompt, wrote = list(answer.prompt_token_ids), list(answer.token_ids)
    model = AutoModelForCausalLM.from_pretrained(small.settings.folder, dtype=torch.float32)
    with torch.inference_mode():
        out = model(torch.tensor([prompt + wrote]), output_hidden_states=True)
    rows = slice(len(prompt) - 1, len(prompt) - 1 + len(wrote))
    logits, hidden = out.logits[0, rows], out.hidden_states[-1][0, rows]
    assert found["logits"] == pytest.approx(logits.topk(100).values.numpy(), rel=2e-3, abs=2e-2)
    assert found["hidden"] == pytest.approx(hidden.numpy(), rel=2e-3, abs=2e-3)
    assert found["total"] == pytest.approx(logits.logsumexp(-1).numpy(), abs=1e-3)
    chosen = logits.argmax(-1)
    assert found["embedding"] == pytest.approx(model.get_input_embeddings().weight[chosen].detach().numpy(), abs=2e-3)
    same = [token == theirs for token, theirs in zip(wrote, chosen.tolist(), strict=True)]
    assert [label == IDENTICAL for label in found["label"]] == same


async def test_a_model_labelled_with_itself_has_no_mismatch(label, large, large_folder, tmp_path):
    twin = TransformersBackend(large_folder, name="small")
    result = await label(models={"small": twin, "large": large})
    assert set(arrays(result, tmp_path)["label"].tolist()) == {IDENTICAL}
    assert set(result.ledger.by("purpose")) == {"answer", "features"}


async def test_every_call_has_an_owner_and_the_bill_is_the_models_own(label, small, large):
    result = await label(most=5, judge="model")
    by = result.ledger.by("purpose")
    assert set(by) == {"answer", "features", "continue", "judge"}
    assert by["features"].calls == 1
    assert by["features"].completion == 0
    assert by["features"].prompt == by["answer"].prompt + by["answer"].completion
    for backend in (small, large):
        counters, total = await backend.counters(), result.ledger.by("model")[backend.model]
        assert (counters.prompt, counters.generated) == (total.prompt, total.completion)


async def test_a_mismatch_is_judged_by_what_the_large_model_writes_after_either_token(label, small, large, tmp_path):
    result = await label(most=1000, max_tokens=20)
    found = arrays(result, tmp_path)["label"].tolist()
    answer = await answer_of(large, 20)
    prompt, wrote = list(answer.prompt_token_ids), list(answer.token_ids)
    choices = await _choices(small, prompt, wrote)
    decode = large._weights.tokenizer.decode
    for place, (ours, theirs) in enumerate(zip(wrote, choices, strict=True)):
        if ours == theirs:
            assert found[place] == IDENTICAL
            continue
        mine, complete = sentence(decode(wrote[place : place + 6]))
        if not complete and place + 6 > len(wrote):
            assert found[place] == UNJUDGED
            continue
        asked = Request(model="large", prompt_token_ids=(*prompt, *wrote[:place], theirs), max_tokens=5)
        other = sentence(decode([theirs, *(await large.complete(asked)).token_ids]))[0]
        assert found[place] == (NEUTRAL if mine.split() == other.split() else DIVERGENT), (mine, other)


async def _choices(small, prompt, wrote):
    found = []
    for place in range(len(wrote)):
        asked = Request(model="small", prompt_token_ids=(*prompt, *wrote[:place]), max_tokens=1)
        found += (await small.complete(asked)).token_ids
    return found


async def test_only_some_mismatches_are_judged_and_the_judged_ones_stand_for_all(label, tmp_path):
    every = arrays(await label(most=1000, sentence_tokens=2), tmp_path)["label"]
    some = arrays(await label(most=3, sentence_tokens=2), tmp_path)["label"]
    judged = (some == NEUTRAL) | (some == DIVERGENT)
    assert judged.sum() == 3
    assert (every[judged] == some[judged]).all()
    assert ((every == IDENTICAL) == (some == IDENTICAL)).all()
    few = tmp_path / "few"
    await label(most=3, sentence_tokens=2, folder=few)
    labelled = load_labels(few)
    assert len(labelled.label) == (some != UNJUDGED).sum()
    assert labelled.weight.sum() == pytest.approx(len(some))


async def test_a_question_that_is_labelled_is_not_asked_again(label):
    first = await label()
    again = await label()
    assert again.outputs == first.outputs
    assert again.ledger.total().calls == 0
    other = await label(seed=1)
    assert other.ledger.total().calls > 0


async def test_a_question_that_broke_off_costs_only_what_is_missing(label, small, large_folder, tmp_path):
    class Dying(TransformersBackend):
        left = 4

        async def complete(self, request, on_delta=None):
            self.left -= 1
            if self.left < 0:
                raise BackendError("the large model is gone")
            return await super().complete(request, on_delta)

    dying = Dying(large_folder, name="large")
    store = Store()
    backends = {"small": small, "large": dying}
    with pytest.raises(BackendError, match="gone"):
        await label(runtime=Runtime(backends=backends, store=store, reuse=True))
    assert list((tmp_path / "labels").glob("*.labels")) == []
    dying.left = 1000
    result = await label(runtime=Runtime(backends=backends, store=store, reuse=True))
    assert result.ledger.total().replayed >= 2
    assert {path.suffix for path in (tmp_path / "labels").iterdir()} == {".labels"}


async def test_the_store_may_have_the_answer_where_the_features_are_gone(label, small, large, tmp_path):
    store, backends = Store(), {"small": small, "large": large}
    first = await label(runtime=Runtime(backends=backends, store=store, reuse=True))
    before = arrays(first, tmp_path)
    (tmp_path / "labels" / first.outputs["l"]["file"]).unlink()
    again = await label(runtime=Runtime(backends=backends, store=store, reuse=True))
    assert again.ledger.by("purpose")["features"].sent == 1
    assert (arrays(again, tmp_path)["label"] == before["label"]).all()


async def test_the_answers_may_be_compared_to_the_end(label, tmp_path):
    result = await label(judge="answer", most=2, max_tokens=12)
    counts = {name: result.outputs["l"][name] for name in NAMES}
    # Nothing ends such a model's answer but the cap: there is no end to compare.
    assert counts["neutral"] == counts["divergent"] == 0


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("He sells 4.80 rolls. She", ("He sells 4.80 rolls.", True)),
        ("\n\nSo it is\nDone", ("So it is", True)),
        ("no end", ("no end", False)),
        ("Why? Because", ("Why?", True)),
        ("", ("", False)),
    ],
)
def test_where_a_sentence_ends(text, found):
    assert sentence(text) == found
