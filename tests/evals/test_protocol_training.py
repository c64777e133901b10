"""Training is asked of another process; here that is a stand-in which says what it was asked."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from laconic.errors import InputError, LaconicError
from laconic.evals.protocols import training
from laconic.evals.protocols.training import ABOUT, Training, how_to_serve, train
from laconic.orchestrator import Flow
from laconic.orchestrator.yaml_source import read_yaml

CHAT = [{"role": "user", "content": "?"}]
SAID = [{"role": "assistant", "content": "!"}]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"weights")
    return folder


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An interpreter that saves what it was asked as the adapter."""
    program = tmp_path / "python"
    program.write_text(
        f"#!{sys.executable}\n"
        "import json, pathlib, sys\n"
        "asked = json.loads(sys.stdin.readline())\n"
        "print('training', asked['kind'])\n"
        "if asked['rank'] == 13: sys.exit('no luck')\n"
        "pathlib.Path(asked['out']).mkdir()\n"
        "pathlib.Path(asked['out'], 'asked.json').write_text(json.dumps(asked))\n"
        "print(json.dumps({'steps': 2, 'loss': 0.5, 'packages': {'trl': '1'}}))\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv(training.VARIABLE, str(program))
    return program


def records(tmp_path: Path, *lines: object) -> Path:
    path = tmp_path / "records.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@pytest.mark.usefixtures("stand_in")
def test_the_adapter_says_what_it_was_trained_on(tmp_path: Path, model: Path) -> None:
    file = records(tmp_path, *[{"prompt": CHAT, "completion": SAID}] * 3)
    heard: list[str] = []
    trained = train(Training(kind="sft", records=file, model=model, out=tmp_path / "out"), on_line=heard.append)
    assert heard == ["training sft"]
    about = json.loads((tmp_path / "out" / ABOUT).read_text())
    assert (about["number"], about["steps"], about["records"]) == (3, 2, "records.jsonl")
    (model / "model.safetensors").write_bytes(b"other")
    assert about["model_sha256"] == trained.model_sha256 != training.hash_of_model(model)
    with pytest.raises(InputError, match="is not empty"):
        train(Training(kind="sft", records=file, model=model, out=tmp_path / "out"))


@pytest.mark.usefixtures("stand_in")
def test_what_trl_could_not_read_is_named_with_its_line(tmp_path: Path, model: Path) -> None:
    file = records(tmp_path, {"prompt": CHAT, "completion": SAID}, {"prompt": "text", "completion": SAID})
    job = Training(kind="sft", records=file, model=model, out=tmp_path / "out")
    with pytest.raises(InputError, match=r"records\.jsonl:2: .*'prompt' must be a list"):
        train(job)
    with pytest.raises(InputError, match=r"records\.jsonl:1: .*'chosen'"):
        train(Training(kind="pairs", records=file, model=model, out=tmp_path / "out"))
    good = records(tmp_path, {"prompt": CHAT, "completion": SAID})
    with pytest.raises(InputError, match="no folder with a model"):
        train(Training(kind="sft", records=good, model=tmp_path, out=tmp_path / "out"))
    with pytest.raises(InputError, match="no conversation was good enough"):
        train(Training(kind="sft", records=records(tmp_path), model=model, out=tmp_path / "out"))


@pytest.mark.usefixtures("stand_in")
def test_a_training_that_fails_says_what_it_said_last(tmp_path: Path, model: Path) -> None:
    file = records(tmp_path, {"prompt": CHAT, "completion": SAID})
    with pytest.raises(LaconicError, match=r"(?s)without an adapter.*training sft\nno luck"):
        train(Training(kind="sft", records=file, model=model, out=tmp_path / "out", rank=13))


def test_without_the_extra_it_is_named(tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = records(tmp_path, {"prompt": CHAT, "completion": SAID})
    monkeypatch.delenv(training.VARIABLE, raising=False)
    monkeypatch.setattr(training, "NEEDED", ("json", "no_such_library"))
    with pytest.raises(InputError, match=r'needs no_such_library: pip install "laconic\[train\]"'):
        train(Training(kind="sft", records=file, model=model, out=tmp_path / "out"))


def test_how_to_serve_it_can_be_put_into_a_flow(tmp_path: Path, model: Path) -> None:
    models = read_yaml(how_to_serve(model, tmp_path / "speaker", 12), "printed").data["models"]
    flow = Flow(name="f", models=models, nodes={"a": {"kind": "prompt", "prompt": "Hi"}})
    options = flow.models["large"].options
    assert options == {
        "enable_lora": True,
        "max_lora_rank": 16,
        "lora_modules": [f"speaker={tmp_path.resolve() / 'speaker'}"],
    }
    assert flow.models["large"].extra == {"model": "speaker"}
