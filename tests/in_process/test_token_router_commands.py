"""`laconic token-router`: labels, a router and its figures, from a flow file and some questions."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from laconic.backends.token_router import read_about
from laconic.cli import app

from .conftest import write_model

FLOW = """
name: two
inputs: {question: str}
models:
  small: {backend: transformers, model: SMALL}
  large: {backend: transformers, model: LARGE}
nodes:
  question_2: {kind: prompt, model: large, prompt: "{{ question }}", max_tokens: 2}
  answer: {kind: token_route, prompt: "{{ question }} {{ question_2 }}", max_tokens: 24}
  after: {kind: prompt, model: large, prompt: "{{ answer }}"}
outputs: {answer: "{{ after }}"}
"""
TINY = ("--width", "8", "--blocks", "1", "--epochs", "3", "--rate", "0.01", "--recall", "0.8")
LABEL = ("token-router", "label", "flow.yaml", "--data", "items.jsonl", "--to", "labels", "--sentence-tokens", "4")


@pytest.fixture(scope="module")
def like_large(large_folder, tmp_path_factory):
    """The large model, a little spoilt: it mostly chooses the same tokens."""
    folder = tmp_path_factory.mktemp("like") / "model"
    shutil.copytree(large_folder, folder)
    tensors = load_file(folder / "model.safetensors")
    torch.manual_seed(3)
    spoilt = {name: tensor * (1 + 0.03 * torch.randn_like(tensor)) for name, tensor in tensors.items()}
    save_file(spoilt, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


@pytest.fixture
def laconic(tmp_path, monkeypatch, like_large, large_folder):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LACONIC_STORE", raising=False)
    flow = FLOW.replace("SMALL", str(like_large)).replace("LARGE", str(large_folder))
    (tmp_path / "flow.yaml").write_text(flow)
    items = [{"id": f"q{number}", "question": f"How many {number}?"} for number in range(6)]
    (tmp_path / "items.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items))
    return lambda *args: CliRunner().invoke(app, list(args), prog_name="laconic")


def test_from_questions_to_a_router_that_answers(laconic, tmp_path):
    labelled = laconic(*LABEL, "--most", "6", "--limit", "5")
    assert labelled.exit_code == 0, labelled.stderr
    assert labelled.stdout.startswith("5 questions")
    assert "divergent" in labelled.stdout
    assert "5 items, 5 ok" in labelled.stderr
    assert "tokens in" in labelled.stderr  # the bill
    assert len(list((tmp_path / "labels").iterdir())) == 5

    again = laconic(*LABEL, "--most", "6")
    assert again.exit_code == 0, again.stderr
    first = next(line for line in again.stderr.splitlines() if "item q0" in line)
    assert again.stdout.startswith("6 questions")
    assert int(first.split("ok, ")[1].split(" tokens")[0]) < 60  # the node before it alone

    trained = laconic("token-router", "train", "labels", "--out", "r.safetensors", *TINY)
    assert trained.exit_code == 0, trained.stderr
    assert "epoch 1: loss" in trained.stderr
    assert trained.stdout == "r.safetensors\n"
    about = read_about(tmp_path / "r.safetensors")
    assert 0.79 < about.recall <= 1
    assert 0 < len(about.learned) == 6 - len(about.held_out) < 6

    seen = laconic("token-router", "eval", "labels", "--router", "r.safetensors")
    assert seen.exit_code == 2
    assert "trained with every question in 'labels'; label others" in seen.stderr
    items = (tmp_path / "items.jsonl").read_text().splitlines()[:1]
    items += [json.dumps({"id": f"o{number}", "question": f"How many {number}?"}) for number in (7, 8)]
    (tmp_path / "items.jsonl").write_text("\n".join(items))
    made = laconic(*LABEL, "--to", "others", "--most", "6", "--seed", "1")
    assert made.exit_code == 0, made.stderr
    told = laconic("token-router", "eval", "others", "--router", "r.safetensors")
    assert told.exit_code == 0, told.stderr
    assert [line.split()[0] for line in told.stdout.splitlines()[1:4]] == ["neural", "entropy", "margin"]
    judged = json.loads(laconic("token-router", "eval", "others", "--router", "r.safetensors", "--json").stdout)
    assert judged["questions"] == 2  # the third was learned from, or held out
    neural = judged["measures"][0]
    assert judged["share"] == pytest.approx(neural["at_share"]["share"])
    told = laconic("token-router", "eval", "others", "--router", "r.safetensors", "--share", "0.25", "--json")
    for measure in json.loads(told.stdout)["measures"]:
        assert measure["at_share"]["share"] == pytest.approx(0.25, abs=0.1)

    text = (tmp_path / "flow.yaml").read_text().replace("max_tokens: 24", "by: neural, router: r.safetensors")
    (tmp_path / "neural.yaml").write_text(text.replace("{{ after }}", "{{ answer }}").replace("  after:", "  # after:"))
    ran = laconic("run", "neural.yaml", "--set", "nodes.answer.max_tokens=8", "--input", "question=How?", "--json")
    assert ran.exit_code == 0, ran.stderr
    assert json.loads(ran.stdout)["outputs"]["answer"]


def test_a_router_of_other_models_is_not_judged_on_these_labels(laconic, tmp_path):
    laconic(*LABEL, "--limit", "3")
    laconic("token-router", "train", "labels", "--out", "r.safetensors", *TINY)
    other = write_model(tmp_path / "other", seed=11, layers=3)
    made = laconic(*LABEL[:-3], "others", "--limit", "2", "--set", f"models.small.model={other}")
    assert made.exit_code == 0, made.stderr
    told = laconic("token-router", "eval", "others", "--router", "r.safetensors")
    assert told.exit_code == 2
    assert "another small model" in told.stderr


def test_what_cannot_be_done_is_told(laconic, tmp_path):
    assert "'.' is a folder" in laconic("token-router", "train", "labels", "--out", ".").stderr
    assert "there are no labels" in laconic("token-router", "train", ".", "--out", "r.safetensors").stderr
    laconic(*LABEL, "--limit", "1")
    assert "there is no router" in laconic("token-router", "eval", "labels", "--router", "r.safetensors").stderr
    assert "label more questions" in laconic("token-router", "train", "labels", "--out", "r.safetensors").stderr
    flow = (tmp_path / "flow.yaml").read_text()
    (tmp_path / "flow.yaml").write_text(flow.replace("kind: token_route, ", "kind: prompt, model: large, "))
    assert "has none" in laconic(*LABEL).stderr
    (tmp_path / "flow.yaml").write_text(
        flow.replace("  after:", "  second: {kind: token_route, prompt: x, max_tokens: 8}\n  after:")
    )
    assert "--node" in laconic(*LABEL).stderr
    assert laconic(*LABEL, "--node", "second", "--limit", "1", "--most", "1").exit_code == 0
