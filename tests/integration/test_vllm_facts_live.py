"""What the real vLLM says of itself, how it refuses, and what `laconic doctor` makes of it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from laconic.backends import Message, OpenAIBackend, Request, VLLMServer
from laconic.backends.settled import settled_counters
from laconic.errors import BadRequest, ContextTooLong, UnknownModel

pytestmark = pytest.mark.integration


@pytest.fixture
async def backend(vllm: VLLMServer) -> AsyncIterator[OpenAIBackend]:
    made = OpenAIBackend(vllm.name, vllm.url)
    yield made
    await made.aclose()


def ask(backend: OpenAIBackend, text: str = "Say hi.", **more: object) -> Request:
    return Request(model=backend.model, messages=(Message("user", text),), max_tokens=2, extra=dict(more))


async def test_it_is_known_without_a_token(backend: OpenAIBackend) -> None:
    before = await settled_counters(backend)
    fresh = OpenAIBackend(backend.model, backend.url)
    facts = await fresh.facts()
    await fresh.aclose()
    after = await settled_counters(backend)
    assert before is not None
    assert after is not None
    assert before.counters == after.counters
    assert (facts.server, facts.context, facts.block, facts.blocks) == ("vllm", 2048, 32, 127)
    assert (facts.caches_prefixes, facts.most_logprobs, facts.limits_thinking) == (True, 20, False)
    for field in ("structured_outputs", "return_token_ids", "allowed_token_ids", "logprob_token_ids", "cache_salt"):
        assert facts.knows(field)
        assert facts.knows(field, chat=False)
    assert not facts.knows("guided_json")


async def test_how_it_refuses(backend: OpenAIBackend) -> None:
    with pytest.raises(BadRequest, match=r"no field `guided_json`.*`structured_outputs`"):
        await backend.complete(ask(backend, guided_json={"type": "object"}))
    with pytest.raises(ContextTooLong):
        await backend.complete(ask(backend, "word " * 3000))
    with pytest.raises(UnknownModel, match=backend.model):
        await backend.complete(Request(model="another", prompt="hi", max_tokens=1))


def test_the_doctor_says_what_it_found(vllm: VLLMServer, tmp_path: Path) -> None:
    (tmp_path / "flow.yaml").write_text(
        f"name: any\nmodels: {{large: {{backend: vllm, model: {vllm.name}, url: '{vllm.url}'}}}}\n"
        "nodes: {ask: {kind: prompt, prompt: hi}}\n"
    )
    laconic = str(Path(sys.executable).with_name("laconic"))
    done = subprocess.run([laconic, "doctor", "flow.yaml"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "caches prefixes, 127 blocks of 32 tokens" in done.stdout
    assert "--enable-prompt-tokens-details" not in done.stdout, "that flag is set"
    assert "(found out with 2 calls of 132 tokens)" in done.stdout
