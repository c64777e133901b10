"""`laconic serve-models` and `models export`, with a stand-in for vLLM."""

from __future__ import annotations

import os
import signal
import sys
import urllib.request
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from subprocess import Popen

import pytest
from typer.testing import Result

from laconic.backends.vllm_python import ask_python

Laconic = Callable[..., Result]
Start = Callable[..., AbstractContextManager[Popen[str]]]


@pytest.fixture(autouse=True)
def two(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A flow with two models that ask for a server, and one that does not."""
    monkeypatch.setenv("LACONIC_VLLM_PYTHON", sys.executable)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent.parent / "backends" / "standin"))
    ask_python.cache_clear()
    for name in ("tiny", "large"):
        (here / name).mkdir()
        (here / name / "config.json").write_text("{}")
    (here / "two.yaml").write_text(
        """
name: two
models:
  small: {backend: vllm, model: ./tiny}
  again: {backend: vllm, model: ./tiny, temperature: 1}
  large: {backend: vllm, model: ./large}
  script: {backend: scripted, model: s, options: {answer: hi}}
nodes:
  answer: {kind: prompt, prompt: hi, model: small}
"""
    )


def pid_of(url: str) -> int:
    """The server that listens on the port of a url, found by its command line."""
    port = url.rpartition(":")[2].removesuffix("/v1")
    for words in Path("/proc").glob("[0-9]*/cmdline"):
        if f"--port\0{port}\0" in words.read_text():
            return int(words.parent.name)
    raise AssertionError(f"no process serves {url}")


def served(process: Popen[str]) -> dict[str, str]:
    """The url of each role, read from what the command prints; all of them answer."""
    assert process.stdout is not None
    urls = {}
    for _ in range(3):
        role, url = process.stdout.readline().split(": ")
        urls[role] = url.strip()
        name = "large" if role == "large" else "tiny"
        assert process.stdout.readline() == f"  --model {role}=vllm:{urls[role]}#{name}\n"
        assert urllib.request.urlopen(f"{urls[role]}/models").status == 200
    return urls


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serves_until_it_is_told_to_stop(start: Start, number: signal.Signals) -> None:
    with start("serve-models", "two.yaml") as process:
        urls = served(process)
        assert urls["small"] == urls["again"] != urls["large"]
        pids = [pid_of(urls["small"]), pid_of(urls["large"])]
        process.send_signal(number)
        _, told = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "tiny: loading ...\ntiny: answers after " in told
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


def test_a_server_that_ends_is_named_and_the_others_are_ended(start: Start) -> None:
    with start("serve-models", "two.yaml") as process:
        urls = served(process)
        other = pid_of(urls["large"])
        os.kill(pid_of(urls["small"]), signal.SIGKILL)
        _, told = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "error: The vLLM server of 'tiny' has ended: its process was killed (signal 9)" in told
    assert "non-default args" in told, "the log is shown"
    assert not Path(f"/proc/{other}").exists()


def test_a_server_that_does_not_start_shows_its_log(laconic: Laconic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STANDIN", "dies")
    result = laconic("serve-models", "two.yaml")
    assert result.exit_code == 1
    *log, last = result.stderr.splitlines()
    assert any("See root cause above" in line for line in log)
    assert last.startswith("error: vLLM did not start 'tiny': ValueError: the moon is full. Its log is ")


def test_a_flow_that_asks_for_no_server(laconic: Laconic) -> None:
    result = laconic("serve-models", "flow.yaml")
    assert result.exit_code == 2
    assert result.stderr == (
        "error: no model of flow.yaml asks for a server; one that does has `backend: vllm` and no `url`\n"
    )


def test_export_refuses_a_folder_that_is_not_empty(laconic: Laconic, here: Path) -> None:
    (here / "x.gguf").write_bytes(b"GGUF")
    result = laconic("models", "export", "x.gguf", "--to", "tiny")
    assert result.exit_code == 1
    assert "tiny is there already and is not empty" in result.stderr
    assert (here / "tiny" / "config.json").exists()


def test_an_export_that_fails_leaves_nothing(laconic: Laconic, here: Path) -> None:
    (here / "x.gguf").write_bytes(b"GGUF")
    before = sorted(here.iterdir())
    result = laconic("models", "export", "x.gguf", "--to", "made")
    assert result.exit_code == 1
    assert "x.gguf cannot be exported: ModuleNotFoundError: No module named 'torch'" in result.stderr
    assert sorted(here.iterdir()) == before
