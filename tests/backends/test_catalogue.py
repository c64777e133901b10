from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec
import pytest

from laconic.backends import catalogue
from laconic.backends.catalogue import CATALOGUE, find, models_folder, path, verify
from laconic.errors import ModelFileError

WEIGHTS = b"GGUF" + bytes(range(256)) * 8


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A models folder of our own, and a model small enough to be in it."""
    monkeypatch.setenv("LACONIC_MODELS", str(tmp_path / "models"))
    tiny = msgspec.structs.replace(
        CATALOGUE["smollm2-135m-instruct"],
        name="tiny",
        file="tiny.gguf",
        size=len(WEIGHTS),
        sha256=hashlib.sha256(WEIGHTS).hexdigest(),
    )
    monkeypatch.setitem(CATALOGUE, "tiny", tiny)
    (tmp_path / "models").mkdir()
    return tmp_path / "models"


def test_the_models_are_pinned() -> None:
    qwen, smol = CATALOGUE["qwen2.5-coder-1.5b-instruct"], CATALOGUE["smollm2-135m-instruct"]
    assert (qwen.size, smol.size) == (1_117_320_768, 98_362_432)
    assert qwen.sha256.startswith("cc324af0")
    assert smol.sha256.startswith("b179c952")
    for known in (qwen, smol):
        assert len(known.sha256) == 64
        assert known.licence == "Apache-2.0"
        assert known.wheels is not None
        assert all("==" in requirement for requirement in known.wheels.requirements)


def test_the_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert models_folder() == tmp_path / "models"
    monkeypatch.delenv("LACONIC_MODELS")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert models_folder() == tmp_path / "cache" / "laconic" / "models"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert models_folder() == tmp_path / ".cache" / "laconic" / "models"


def test_finds_a_path_and_a_name(folder: Path, tmp_path: Path) -> None:
    own = tmp_path / "own.gguf"
    own.write_bytes(b"GGUF")
    assert find(own) == find(str(own)) == path(own) == own
    assert find("tiny") is None
    (folder / "tiny.gguf").write_bytes(WEIGHTS)
    assert find("tiny") == find("Tiny") == path("tiny") == folder / "tiny.gguf"
    assert find("unheard-of") is None


def test_a_missing_model_says_how_to_get_it(folder: Path) -> None:
    with pytest.raises(ModelFileError, match="laconic models pull tiny") as missing:
        path("tiny")
    assert str(folder / "tiny.gguf") in str(missing.value)


def test_an_incomplete_file_is_not_the_model(folder: Path) -> None:
    (folder / "tiny.gguf").write_bytes(WEIGHTS[:100])
    assert find("tiny") is None
    with pytest.raises(ModelFileError, match=r"should have 2,052 bytes, but has 100.*pull tiny"):
        path("tiny")


def test_an_unknown_name_gets_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"Did you mean qwen2\.5-coder-1\.5b-instruct"):
        path("qwen2.5-coder-1.5b")
    with pytest.raises(ModelFileError, match=r"It knows .*smollm2-135m-instruct"):
        catalogue.entry("zzz")
    for missing in (tmp_path / "nowhere", "models/nowhere", "nowhere.gguf"):
        with pytest.raises(ModelFileError, match="There is no model file at"):
            path(missing)


def test_verify_hashes_and_changes_nothing(folder: Path) -> None:
    good, wrong = folder / "tiny.gguf", folder / "wrong.gguf"
    good.write_bytes(WEIGHTS)
    wrong.write_bytes(WEIGHTS[::-1])
    seen: list[tuple[int, int, str]] = []
    verify("tiny", good, lambda *progress: seen.append(progress))
    assert seen[-1] == (len(WEIGHTS), len(WEIGHTS), "verifying")
    with pytest.raises(ModelFileError) as error:
        verify("tiny", wrong)
    for told in (CATALOGUE["tiny"].sha256, hashlib.sha256(WEIGHTS[::-1]).hexdigest(), str(wrong), "left as it was"):
        assert told in str(error.value)
    assert wrong.read_bytes() == WEIGHTS[::-1]
    with pytest.raises(ModelFileError, match="cannot be read"):
        verify("tiny", folder / "none")
