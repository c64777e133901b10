"""Labels of tokens: what the large model's answer and the small model's reading of it make of each token."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from laconic import Flow, Runtime, Store
from laconic.backends.request import Completion, Message, Request
from laconic.backends.transformers import TransformersBackend
from laconic.backends.transformers.labels import DIVERGENT, IDENTICAL, NAMES, NEUTRAL, UNJUDGED, load_labels
from laconic.backends.usage import Usage
from laconic.errors import BackendError, InputError
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
    assert found["logits"] == pytest.approx(logits.topk(100).values.numpy(), rel=1e-5, abs=5e-4)
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


async def test_a_question_that_is_labelled_is_not_asked_again(label, tmp_path):
    first = await label()
    again = await label()
    assert again.outputs == first.outputs
    assert again.ledger.total().calls == 0
    other = await label(seed=1)
    assert other.ledger.total().calls > 0
    with pytest.raises(InputError, match="one question, labelled with other options"):
        load_labels(tmp_path / "labels")


async def test_two_equal_questions_may_be_labelled_at_once(label, tmp_path, monkeypatch):
    both = threading.Barrier(2, timeout=120)

    def save(*args, **fields):
        save_file(*args, **fields)
        both.wait()

    monkeypatch.setattr("safetensors.numpy.save_file", save)
    one, other = await asyncio.gather(label(most=2), label(most=2))
    assert one.outputs == other.outputs
    assert [path.name for path in (tmp_path / "labels").iterdir()] == [one.outputs["l"]["file"]]


class Says(TransformersBackend):
    """Says these texts, one a call, each as if it ended there."""

    def __init__(self, folder, says, **fields):
        super().__init__(folder, name="large", **fields)
        self.says, self.asked = iter(says), []

    async def ids(self, text):
        return (await self.count(Request(model="large", prompt=text))).ids

    async def complete(self, request, on_delta=None):
        self._room(await self._ready(), request, request.prompt_token_ids)
        self.asked.append(request)
        ids = await self.ids(next(self.says))
        usage = Usage(len(request.prompt_token_ids), len(ids), 0, 0, 0)
        return Completion(text="", usage=usage, model="large", finish_reason="stop", token_ids=ids)


class Chooses(TransformersBackend):
    """Chooses what the large model wrote, but for one text in place of a token of it."""

    def __init__(self, folder, place, instead):
        super().__init__(folder, name="small")
        self.place, self.instead = place, instead

    async def complete(self, request, on_delta=None):
        wanted = request.extra["features"]
        tokens = [*request.prompt_token_ids[wanted["start"] :], 0]
        [tokens[self.place]] = (await self.count(Request(model="small", prompt=self.instead))).ids
        found = {name: np.ones((len(tokens), 1), np.float32) for name in ("logits", "total", "hidden", "embedding")}
        whole = {**found, "token": np.array(tokens, np.int32), "ends": np.array([0], np.int32)}
        Path(wanted["file"]).parent.mkdir(parents=True, exist_ok=True)
        save_file(whole, wanted["file"])
        usage = Usage(len(request.prompt_token_ids), 0, 0, 0, 0)
        return Completion(text="", usage=usage, model="small", finish_reason="cut", token_ids=())


@pytest.mark.parametrize(
    ("goes_on", "kind"),
    [
        (["\n", "So it is 5. "], NEUTRAL),
        (["\n", "\n", "So it is 6. "], DIVERGENT),
        (["\n", ""], DIVERGENT),  # nothing comes: the answer would end there
        (["\n"] * 30, UNJUDGED),
    ],
)
async def test_blank_lines_before_a_sentence_do_not_end_it(label, small_folder, large_folder, tmp_path, goes_on, kind):
    large = Says(large_folder, [" So it is 5. Yes.", *goes_on])
    result = await label(models={"small": Chooses(small_folder, 0, "\n"), "large": large}, sentence_tokens=20)
    found = arrays(result, tmp_path)["label"]
    assert found[0] == kind
    assert set(found[1:].tolist()) == {IDENTICAL}


async def prompt_of(large):
    return (await large.count(Request(model="large", messages=(Message("user", QUESTION),)))).tokens


@pytest.mark.parametrize("judge", ["exact", "answer"])
async def test_where_the_context_has_no_room_to_go_on_nothing_is_judged(
    label, small_folder, large_folder, tmp_path, judge
):
    large = Says(large_folder, ["So. Yes"])
    wrote = len(await large.ids("So. Yes"))
    prompt = await prompt_of(large)
    large = Says(large_folder, ["So. Yes"], context=prompt + wrote)
    models = {"small": Chooses(small_folder, -2, "x"), "large": large}
    result = await label(models=models, judge=judge, max_tokens=wrote)
    assert arrays(result, tmp_path)["label"][-2] == UNJUDGED
    assert len(large.asked) == 1


async def test_an_answer_that_fills_the_context_is_labelled(label, small_folder, large_folder, tmp_path):
    prompt = await prompt_of(TransformersBackend(large_folder, name="large"))
    models = {
        name: TransformersBackend(folder, name=name, context=prompt + 30)
        for name, folder in (("small", small_folder), ("large", large_folder))
    }
    result = await label(models=models, most=3)
    assert len(arrays(result, tmp_path)["label"]) == 30


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
