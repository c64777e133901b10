"""Two tiny models with random weights and one tokenizer: everything but sense."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import laconic
from laconic.backends.transformers import TransformersBackend

TOKENIZER = Path(laconic.__file__).parent / "backends" / "tokenizer.json"
TEMPLATE = (
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def write_model(folder: Path, *, seed: int, layers: int = 4, vocabulary: int = 1879, window: int | None = None) -> Path:
    """A model whose next token depends on all before it, in a folder as transformers writes one."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(seed)
    config = Qwen2Config(
        vocab_size=vocabulary,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        initializer_range=0.4,
        eos_token_id=0,
        tie_word_embeddings=True,
        use_sliding_window=window is not None,
        sliding_window=window,
        max_window_layers=1,
    )
    Qwen2ForCausalLM(config).save_pretrained(folder)
    shutil.copy(TOKENIZER, folder / "tokenizer.json")
    (folder / "chat_template.jinja").write_text(TEMPLATE)
    return folder


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Tiny models are slower on several."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def large_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("large"), seed=1, layers=6)


@pytest.fixture(scope="session")
def small_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("small"), seed=2, layers=3)


@pytest.fixture
async def small(small_folder: Path):
    backend = TransformersBackend(small_folder, name="small")
    yield backend
    await backend.aclose()


@pytest.fixture
async def large(large_folder: Path):
    backend = TransformersBackend(large_folder, name="large")
    yield backend
    await backend.aclose()


@pytest.fixture
async def forgetful(tmp_path: Path):
    """A model whose layers see the last four tokens only."""
    backend = TransformersBackend(write_model(tmp_path / "forgetful", seed=5, window=4), name="small")
    yield backend
    await backend.aclose()
