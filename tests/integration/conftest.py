"""The real vLLM with a small model: one server for all tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from laconic.backends import VLLMServer
from laconic.backends.catalogue import models_folder
from laconic.backends.export import export


@pytest.fixture(scope="session")
def safetensors(small_model: str) -> Path:
    """The small model as vLLM loads it: a folder beside the model files, exported if it is not there."""
    folder = models_folder() / "safetensors" / small_model
    return folder if folder.exists() else export(small_model, folder)


@pytest.fixture(scope="session")
def vllm(safetensors: Path) -> Iterator[VLLMServer]:
    """A vLLM server with a cache so small that tests can fill it: 128 blocks of 32 tokens."""
    options = {"block_size": 32, "num_gpu_blocks_override": 128, "scheduling_policy": "priority"}
    with VLLMServer(safetensors, name=safetensors.name, context=2048, options=options) as server:
        yield server
