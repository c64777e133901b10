"""`VLLMEngineBackend` with the real vLLM and SmolLM2, in a program of its own (`engine_program.py`)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer

from laconic.backends.chat_template import ChatTemplate
from laconic.backends.request import Message, Request

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 400.0
"""Seconds for the engine to load on a busy machine, and to answer."""


@pytest.fixture(scope="module")
def program() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts Python code with the interpreter that has vLLM and this Laconic."""
    interpreter = os.environ.get("LACONIC_VLLM_PYTHON")
    if not interpreter:
        pytest.fail("Set LACONIC_VLLM_PYTHON to the Python interpreter that has vLLM; `make test` makes one.")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "laconic").symlink_to(ROOT)
        environment = os.environ | {
            "PYTHONPATH": folder,
            "VLLM_CPU_KVCACHE_SPACE": "1",
            "HF_HUB_OFFLINE": "1",
            "VLLM_NO_USAGE_STATS": "1",
        }

        def start(*arguments: str | Path) -> subprocess.Popen[str]:
            return subprocess.Popen(
                [interpreter, *arguments], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )

        yield start


@pytest.fixture(scope="module")
def result(program: Callable[..., subprocess.Popen[str]], safetensors: Path) -> dict[str, Any]:
    with program(Path(__file__).with_name("engine_program.py"), safetensors) as running:
        said, complained = running.communicate(timeout=PATIENCE)
    found = [line.removeprefix("RESULT ") for line in said.splitlines() if line.startswith("RESULT ")]
    assert running.returncode == 0, complained
    assert "Traceback" not in complained
    printed: dict[str, Any] = json.loads(found[0])
    return printed


def test_usage_is_the_engines_own_count(result: dict[str, Any]) -> None:
    assert result["usage"] == result["counters"]
    assert result["usage"][1] > 0
    assert result["lengths"]


def test_counts_are_exact(result: dict[str, Any]) -> None:
    assert result["counts"] == result["prompts"]


def test_what_was_broken_off_is_counted_to_the_token(result: dict[str, Any]) -> None:
    assert result["partials"] == result["rest"]
    assert result["partials"][2] >= 10
    assert result["sources"] == ["counted"]


def test_schemas_stops_and_logprobs_are_honoured(result: dict[str, Any]) -> None:
    for text in result["schemas"]:
        assert set(json.loads(text)) == {"river", "long"}
    assert not any("the" in text or "." in text for text in result["stopped"])
    assert [set(entries) for entries in result["logprobs"]] == [{n % 3} for n in range(8)]


def test_chats_are_rendered_by_the_models_own_template(result: dict[str, Any], safetensors: Path) -> None:
    """The ids are those of the template of SmolLM2, rendered and tokenized without vLLM."""
    file = safetensors / "tokenizer.json"
    template = ChatTemplate.beside(file)
    assert template is not None
    text = template.render(Request(model="smol", messages=tuple(Message(*said) for said in result["chat"])))
    ids = Tokenizer.from_file(str(file)).encode(text, add_special_tokens=False).ids
    assert result["chat_ids"] == ids


def test_what_cannot_be_answered_is_refused(result: dict[str, Any]) -> None:
    assert result["refusals"] == ["UnknownModel", "ContextTooLong", "BadRequest", "BadRequest", "BadRequest"]


def test_facts_are_the_engines(result: dict[str, Any]) -> None:
    assert result["facts"] == ["vllm", 2048, 32, True]


def test_closing_leaves_no_process(result: dict[str, Any]) -> None:
    assert result["children"] == []


STARTS = """
import asyncio, signal, sys
from laconic.backends import VLLMEngineBackend

async def main(folder):
    backend = VLLMEngineBackend(folder, context=256, options={"enforce_eager": True})
    await backend.start()
    print("started", flush=True)
    await asyncio.Event().wait()

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs begin without it
    asyncio.run(main(sys.argv[1]))
"""


def children(pid: int) -> set[int]:
    """All processes below one."""
    below: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        below.setdefault(parent, []).append(int(entry.name))
    found: set[int] = set()
    waiting = [pid]
    while waiting:
        for child in below.get(waiting.pop(), []):
            found.add(child)
            waiting.append(child)
    return found


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGINT])
def test_a_program_that_is_killed_leaves_no_engine(
    program: Callable[..., subprocess.Popen[str]], safetensors: Path, tmp_path: Path, sent: signal.Signals
) -> None:
    script = tmp_path / "starts.py"
    script.write_text(STARTS, encoding="utf-8")
    with program(script, safetensors) as running:
        assert running.stdout is not None
        assert any(line == "started\n" for line in running.stdout)
        started = children(running.pid)
        assert len(started) > 1
        running.send_signal(sent)
        try:
            running.communicate(timeout=60)
        finally:
            running.kill()
    last = time.monotonic() + 30
    while any(alive(pid) for pid in started) and time.monotonic() < last:
        time.sleep(0.05)
    assert [pid for pid in started if alive(pid)] == []


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and is not yet reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
