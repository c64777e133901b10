"""The network of a router of tokens: its size, what it learns, its threshold, its file."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
import torch

from laconic.backends.doubt import Until
from laconic.backends.token_router import About, Shape, file_digest, mismatch, read_about
from laconic.backends.transformers.doubts import doubt
from laconic.backends.transformers.features import save_features
from laconic.backends.transformers.labels import (
    DIVERGENT,
    IDENTICAL,
    Labelled,
    Question,
    load_labels,
    prompt_digest,
    save_labels,
)
from laconic.backends.transformers.router import build, forward, load_network, save_router
from laconic.backends.transformers.router_training import Training, divided, doubts, threshold_for, train
from laconic.errors import BackendError, InputError, ModelFileError
from laconic.evals.token_routing import RECALLS, judge_doubts, share_above, untrained

HIDDEN = 16
TINY = Training(width=16, blocks=2, expansion=2, epochs=30, batch=64, rate=3e-3, recall=0.9)


def labelled(questions=12, tokens=40, *, seed=0, hint=4.0):
    """Tokens of which those are divergent whose hidden state begins with a large number; logits say nothing."""
    draw = np.random.default_rng(seed)
    n = questions * tokens
    divergent = draw.random(n) < 0.15
    hidden = draw.normal(size=(n, HIDDEN))
    hidden[:, 0] += hint * divergent
    logits = -np.sort(-draw.normal(size=(n, 100)), axis=1).astype(np.float16)
    of = {"small": "s", "large": "l", "vocabulary": "v", "judge": "exact"}
    return Labelled(
        questions=tuple(Question(item=str(number), prompt=f"q{number}", **of) for number in range(questions)),
        question=np.repeat(np.arange(questions), tokens),
        logits=logits,
        total=np.log(np.exp(logits.astype(np.float64)).sum(axis=1)),
        hidden=hidden.astype(np.float16),
        embedding=draw.normal(size=(n, HIDDEN)).astype(np.float16),
        label=np.where(divergent, DIVERGENT, IDENTICAL).astype(np.uint8),
        weight=np.ones(n),
    )


def about(**changes):
    shape = Shape(HIDDEN, 16, 2, 2)
    fields = {"small": "s", "large": "l", "vocabulary": "v", "threshold": 0.25, "recall": 0.9, "share": 0.2}
    return About(**{"shape": shape, "judge": "exact", "learned": ("q1",), "held_out": ("q2",), **fields, **changes})


def test_the_full_size_has_the_published_number_of_parameters():
    with torch.device("meta"):
        network = build(Shape(1536))
    number = sum(parameter.numel() for parameter in network.parameters())
    assert number == Shape(1536).parameters
    assert number == pytest.approx(56e6, rel=0.03)


def test_training_finds_what_tells_divergent_tokens():
    tokens, epochs = labelled(), []
    network, found = train(tokens, TINY, epochs.append)
    assert epochs[-1].learned < 0.5 * epochs[0].learned
    assert [epoch.number for epoch in epochs] == list(range(1, len(epochs) + 1))
    fresh = labelled(seed=1)
    judged = judge_doubts(fresh, {"neural": doubts(network, fresh), **untrained(fresh)}, 0.2)
    auc = {of.name: of.auc for of in judged}
    assert auc["neural"] > 0.95
    assert auc["entropy"] == pytest.approx(0.5, abs=0.1)
    assert found.recall >= 0.9
    assert found.share < 0.4
    prompts = {question.prompt for question in tokens.questions}
    assert set(found.learned) | set(found.held_out) == prompts
    assert 0 < len(found.held_out) == len(prompts) - len(found.learned)


def test_training_ends_when_held_out_questions_gain_no_more_and_the_best_is_kept():
    epochs = []
    train(labelled(hint=0.0), msgspec.structs.replace(TINY, patience=3, epochs=60), epochs.append)
    losses = [epoch.held_out for epoch in epochs]
    assert len(epochs) < 60
    assert losses.index(min(losses)) == len(losses) - 4


def test_the_same_seed_gives_the_same_router():
    one, two, other = (train(labelled(), msgspec.structs.replace(TINY, epochs=2, seed=seed))[0] for seed in (3, 3, 4))
    assert all(torch.equal(one.state_dict()[name], value) for name, value in two.state_dict().items())
    assert not torch.equal(one["head"][1].weight, other["head"][1].weight)


def test_whole_questions_are_held_out_and_both_parts_have_divergent_tokens():
    tokens = labelled(questions=10)
    rare = np.isin(tokens.question, (3, 7))
    tokens.label[~rare] = IDENTICAL
    learned, judged = divided(tokens, 0.2, seed=1)
    assert not set(learned.question) & set(judged.question)
    assert len(set(judged.question)) == 2
    assert (learned.label == DIVERGENT).any()
    assert (judged.label == DIVERGENT).any()
    tokens.label[tokens.question == 7] = IDENTICAL
    with pytest.raises(InputError, match="label more questions"):
        divided(tokens, 0.2, seed=1)


def test_a_question_that_is_there_twice_is_in_one_part():
    tokens = labelled(questions=10)
    twice = [msgspec.structs.replace(of, prompt=f"q{number // 2}") for number, of in enumerate(tokens.questions)]
    tokens = msgspec.structs.replace(tokens, questions=tuple(twice))
    learned, judged = divided(tokens, 0.2, seed=1)
    assert not set(learned.prompts) & set(judged.prompts)
    assert set(judged.question) == {2 * number + more for number in set(judged.question // 2) for more in (0, 1)}
    assert set(tokens.without(("q0", "q3")).question) == {2, 3, 4, 5, 8, 9}


def save(path, **changes):
    of = {"item": "1", "small": "s", "large": "l", "vocabulary": "v", "judge": "exact", "prompt": "p"}
    arrays = ("logits", "total", "hidden", "embedding")
    save_labels(path, {name: np.ones((2, 1)) for name in arrays}, [0, 2], Question(**{**of, **changes}))


def test_one_question_labelled_in_two_ways_is_refused(tmp_path):
    save(tmp_path / "a.labels")
    save(tmp_path / "b.labels", prompt="other")
    assert len(load_labels(tmp_path).questions) == 2
    save(tmp_path / "c.labels", item="2")
    with pytest.raises(InputError, match=r"c\.labels' and a\.labels are one question.*new folder"):
        load_labels(tmp_path)


def test_the_same_tokens_of_another_vocabulary_are_another_question():
    assert prompt_digest("v", (1, 2)) == prompt_digest("v", [1, 2]) != prompt_digest("w", (1, 2))


def test_files_that_cannot_be_written_are_told(tmp_path):
    network = build(Shape(HIDDEN, 16, 1, 2))
    for path in (tmp_path, tmp_path / "none" / "router.safetensors"):
        with pytest.raises(ModelFileError, match="cannot be written"):
            save_router(path, network, about())
    with pytest.raises(InputError, match="cannot be written"):
        save(tmp_path / "none" / "a.labels")
    (tmp_path / "a.labels").mkdir()
    with pytest.raises(InputError, match="cannot be written"):
        save(tmp_path / "a.labels")
    with pytest.raises(BackendError, match="cannot be written"):
        save_features(tmp_path / "a.labels", {}, ())
    assert [path.name for path in tmp_path.iterdir()] == ["a.labels"]


@pytest.mark.parametrize("recall", [0.1, 0.5, 0.95, 1.0])
def test_the_threshold_is_the_highest_that_reaches_the_recall(recall):
    tokens = labelled(seed=2)
    doubt = np.random.default_rng(5).random(len(tokens.label)).astype(np.float32).astype(np.float64)
    threshold, reached, share = threshold_for(doubt, tokens, recall)
    divergent = tokens.label == DIVERGENT
    assert (doubt[divergent] > threshold).mean() == pytest.approx(reached)
    assert reached >= recall
    assert share == pytest.approx((doubt > threshold).mean())
    higher = doubt[divergent & (doubt > threshold)].min()
    assert (doubt[divergent] > higher).mean() < recall


def test_tokens_that_stand_for_several_count_as_several():
    tokens = labelled(questions=1, tokens=4)
    tokens.label[:] = [DIVERGENT, DIVERGENT, IDENTICAL, IDENTICAL]
    tokens.weight[:] = [3, 1, 1, 1]
    doubt = np.array([0.9, 0.5, 0.7, 0.1])
    assert threshold_for(doubt, tokens, 0.75)[1:] == (0.75, 0.5)
    assert threshold_for(doubt, tokens, 0.8)[1:] == (1.0, 5 / 6)


def test_the_figures_are_those_of_a_count_by_hand():
    tokens = labelled(questions=1, tokens=5)
    tokens.label[:] = [DIVERGENT, IDENTICAL, DIVERGENT, IDENTICAL, IDENTICAL]
    doubt = np.array([0.9, 0.8, 0.7, 0.2, 0.1])
    found = judge_doubts(tokens, {"x": doubt}, 0.4)[0]
    assert found.auc == pytest.approx(5 / 6)
    assert (found.at_share.recall, found.at_share.precision, found.at_share.share) == (0.5, 0.5, 0.4)
    assert [point.recall for point in found.curve] == [0.5, 1, 1, 1, 1]
    assert [point.share for point in found.curve] == pytest.approx([0.2, 0.6, 0.6, 0.6, 0.6])
    assert len(found.curve) == len(RECALLS)
    assert share_above(doubt, tokens, 0.7) == pytest.approx(0.4)
    assert judge_doubts(tokens, {"equal": np.ones(5)}, 0.4)[0].auc == pytest.approx(0.5)


def test_entropy_and_margin_are_those_that_decide_in_a_call():
    logits = torch.from_numpy(-np.sort(-np.random.default_rng(3).normal(0, 4, (6, 300)), axis=1))
    top = logits[:, :100].numpy()
    tokens = labelled(questions=1, tokens=6)
    tokens = msgspec.structs.replace(tokens, logits=top, total=logits.logsumexp(-1).numpy())
    for name, values in untrained(tokens).items():
        told = [doubt(Until(measure=name, above=0), row, 0) for row in logits]
        assert values == pytest.approx(told, abs=1e-5)


def test_a_file_gives_back_the_network_and_what_it_is_for(tmp_path):
    network, path = build(Shape(HIDDEN, 16, 2, 2)), tmp_path / "router.safetensors"
    save_router(path, network, about())
    assert read_about(path) == about()
    again, told = load_network(path)
    inputs = torch.randn(3, 100), torch.randn(3, HIDDEN), torch.randn(3, HIDDEN)
    assert torch.equal(forward(again, *inputs), forward(network, *inputs))
    assert told == about()
    before = file_digest(path)
    save_router(path, network, about(threshold=0.3))
    assert file_digest(path) != before


@pytest.mark.parametrize(
    ("its", "words"),
    [
        ({"vocabulary": "w", "small": "s", "large": "l"}, "another tokenizer"),
        ({"vocabulary": "v", "small": "t", "large": "l"}, "another small model"),
        ({"vocabulary": "v", "small": "s", "large": "m"}, "another large model"),
        ({"vocabulary": "v", "small": None, "large": "l"}, "another small model"),
        ({"vocabulary": "v", "small": "s", "large": "l"}, ""),
    ],
)
def test_other_models_are_told_apart(its, words):
    assert mismatch(about(), **its) == words


def test_files_that_are_no_routers_are_told(tmp_path):
    path = tmp_path / "router.safetensors"
    with pytest.raises(ModelFileError, match="token-router train"):
        read_about(path)
    for content in (b"", b"\xff" * 8, b"\x02\0\0\0\0\0\0\0[]", b"\x02\0\0\0\0\0\0\0{}"):
        path.write_bytes(content)
        with pytest.raises(ModelFileError, match="no router of tokens"):
            read_about(path)
    save_router(path, build(Shape(HIDDEN, 16, 1, 2)), about())
    with pytest.raises(ModelFileError, match="damaged"):
        load_network(path)
