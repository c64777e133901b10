"""Flows on the real vLLM, built for CPUs, with SmolLM2: servers that come with a flow and go with it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from laconic import Flow, Runtime
from laconic.backends import VLLMServer
from laconic.backends.settled import settled_counters
from laconic.errors import ServerNotStarted

pytestmark = pytest.mark.integration


def flow(safetensors: Path) -> str:
    return f"""
name: seas
inputs: {{sea: str}}
models:
  large: {{backend: vllm, model: {safetensors}, context: 512, max_tokens: 12}}
  judge: {{backend: vllm, model: {safetensors}, context: 512, max_tokens: 2, temperature: 0.5, seed: 1}}
nodes:
  fact: {{kind: prompt, prompt: "Say one thing about {{{{ sea }}}}."}}
  good: {{kind: prompt, prompt: "Is this true? {{{{ fact }}}}", model: judge}}
outputs: {{fact: "{{{{ fact }}}}", good: "{{{{ good }}}}"}}
"""


def engines(folder: Path) -> set[int]:
    """Process groups in which a vLLM server of this folder runs."""
    found = set()
    for words in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = words.read_text()
            if "vllm.entrypoints" in line and str(folder) in line:
                found.add(os.getpgid(int(words.parent.name)))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def runs(group: int) -> bool:
    """Whether any process of a group runs; one that has ended and is not yet reaped does not."""
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, of, *_ = status.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(of) == group and state != "Z":
            return True
    return False


def until(done: Callable[[], bool]) -> None:
    """Wait for what another process brings about; fails after 30 seconds."""
    last = time.monotonic() + 30
    while not done():
        assert time.monotonic() < last, "it did not come about"
        time.sleep(0.05)


async def test_a_flow_brings_its_server(safetensors: Path) -> None:
    before = engines(safetensors)
    async with Runtime() as runtime:
        loaded = Flow.parse(flow(safetensors))
        results = [await loaded.run(sea="the Baltic", runtime=runtime) for _ in range(2)]
        (group,) = engines(safetensors) - before  # two roles, one server
        assert runs(group)
        counted = await settled_counters((await runtime.models(loaded))["large"].backend)
        total = runtime.ledger.total()
    assert [result.status for result in results] == ["ok", "ok"]
    assert results[0].outputs["fact"] == results[1].outputs["fact"] != ""
    assert {call.usage.source for call in runtime.ledger.calls} == {"server"}
    assert counted is not None
    server = counted.counters
    assert (server.prompt, server.cached, server.generated) == (total.prompt, total.cache_read, total.completion)
    assert server.requests == total.calls == 4
    assert not runs(group)


def test_no_vllm_process_is_left_of_a_command_that_is_killed(safetensors: Path, tmp_path: Path) -> None:
    (tmp_path / "flow.yaml").write_text(flow(safetensors))
    before = engines(safetensors)
    command = [sys.executable, "-c", "from laconic.cli import main; main()", "serve-models", "flow.yaml"]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as served:
        try:
            assert served.stdout is not None
            role, url = served.stdout.readline().split()
            assert role == "large:"
            assert served.stdout.readline() == f"  --model large=vllm:{url}#{safetensors.name}\n"
            assert served.stdout.readline() == f"judge: {url}\n"
            (group,) = engines(safetensors) - before
        finally:
            served.kill()
    until(lambda: not runs(group))


def test_a_context_longer_than_the_models_is_one_sentence(safetensors: Path) -> None:
    with pytest.raises(ServerNotStarted, match="context of 99,999 tokens is longer than the 8,192 the model has"):
        VLLMServer(safetensors, context=99_999).start()


def test_a_folder_without_weights_is_one_sentence(safetensors: Path, tmp_path: Path) -> None:
    for file in safetensors.glob("*.json"):
        (tmp_path / file.name).symlink_to(file)
    with pytest.raises(ServerNotStarted, match="the folder holds no weights"):
        VLLMServer(tmp_path, name="hollow", context=512).start()
