"""A runtime shares memory out between the vLLM servers that it starts."""

from __future__ import annotations

from typing import Any

import pytest

from laconic import Flow, Runtime
from laconic.backends import Backend, ScriptedBackend
from laconic.orchestrator import ModelSpec


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> dict[str, float | None]:
    """The memory that each model was opened with."""
    found: dict[str, float | None] = {}

    async def open_backend(kind: str, model: str, *, memory: float | None, **more: Any) -> Backend:
        found[f"{kind} {model}"] = memory
        return ScriptedBackend("yes")

    monkeypatch.setattr("laconic.orchestrator.runtime.open_backend", open_backend)
    monkeypatch.setattr("laconic.backends.memory_shares.accelerator_memory", lambda: None)
    return found


async def test_the_servers_of_a_flow_get_equal_shares(opened: dict[str, float | None]) -> None:
    models = {
        "large": ModelSpec(backend="vllm", model="org/large"),
        "judge": ModelSpec(backend="vllm", model="org/large", temperature=1),
        "small": ModelSpec(backend="vllm", model="org/small"),
        "served": ModelSpec(backend="vllm", model="other", url="http://127.0.0.1:9/v1"),
        "local": ModelSpec(backend="local", model="x"),
    }
    async with Runtime() as runtime:
        await runtime.models(Flow(name="f", models=models, nodes={"a": {"kind": "prompt", "prompt": "hi"}}))
    assert opened == {
        "vllm org/large": pytest.approx(0.45),
        "vllm org/small": pytest.approx(0.45),
        "vllm other": None,
        "local x": None,
    }


def test_a_server_that_is_started_in_one_word() -> None:
    assert ModelSpec.parse("vllm:org/name") == ModelSpec(backend="vllm", model="org/name")
    assert ModelSpec.parse("vllm:./folder").server is not None
    assert ModelSpec.parse("vllm:http://127.0.0.1:8000/v1#name").server is None
