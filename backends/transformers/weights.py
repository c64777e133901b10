"""The weights of a model in memory, shared by all that run it, and smaller models made by leaving out layers."""

from __future__ import annotations

import copy
import json
import threading
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Any

import msgspec

from ...errors import BackendError, FlowError, ModelFileError
from ..tokenizers import FileTokenizer
from .digest import weights_digest
from .passes import Passes, packs


class Settings(msgspec.Struct, frozen=True):
    """Which model, and how it is held."""

    folder: str
    device: str | None = None
    """PyTorch's name of a device, such as cpu or cuda:0; None takes the accelerator, if there is one."""
    dtype: str | None = None
    """PyTorch's name of a type, such as float32; None takes bfloat16 on an accelerator and float32 elsewhere."""
    skip: tuple[int, ...] = ()
    """Layers that are left out, counted from 0."""


class Weights:
    """A model that is ready to run."""

    def __init__(self, model: Any, tokenizer: FileTokenizer, settings: Settings) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.settings = settings
        self.device: Any = model.device
        self.parameters: int = sum(parameter.numel() for parameter in model.parameters())
        """Of those parts that are run; tied ones count once."""
        self.context: int = model.config.max_position_embeddings
        self.vocabulary: int = model.config.vocab_size
        ends = model.generation_config.eos_token_id
        self.ends: frozenset[int] = frozenset([ends] if isinstance(ends, int) else ends or ())
        """Tokens that end an answer."""
        self.whole: Weights | None = None
        """The model that layers are left out of: it stays in memory for whoever asks for it later."""
        self.computes = f"{str(model.dtype).removeprefix('torch.')} on {_accelerator(self.device)}"
        self.packs = packs(model)
        """Whether its answers can share passes."""
        self.passes = Passes()
        """Where it computes."""
        self.layers: int = model.base_model.config.get_text_config().num_hidden_layers
        self.vocabulary_digest = vocabulary_digest(tokenizer)
        """What tells whether two models mean the same by token ids."""
        self.digest = weights_digest(Path(settings.folder).expanduser(), settings.skip)
        """What tells whether two models have the same weights; None where the files do not show it."""


_loaded: weakref.WeakValueDictionary[Settings, Weights] = weakref.WeakValueDictionary()
_loading = threading.Lock()


def load(settings: Settings) -> Weights:
    """The weights of these settings, loaded at most once for all who hold them; takes up to minutes.

    A model with layers left out shares those that it keeps with the whole one, if that is in memory too.

    Raises `BackendError` if PyTorch or transformers is missing or cannot run the model, `ModelFileError` for a folder
    without a model in safetensors, and `FlowError` for a device, type or layer that there is not.
    """
    with _loading:
        found = _loaded.get(settings)
        if found is None:
            found = _without(settings) if settings.skip else _whole(settings)
            _loaded[settings] = found
        return found


def _without(settings: Settings) -> Weights:
    whole_settings = msgspec.structs.replace(settings, skip=())
    whole = _loaded.get(whole_settings)
    if whole is None:
        whole = _loaded[whole_settings] = _whole(whole_settings)
    smaller = Weights(_fewer_layers(whole.model, settings.skip), whole.tokenizer, settings)
    smaller.whole, smaller.passes = whole, whole.passes
    return smaller


def _whole(settings: Settings) -> Weights:
    try:
        import torch
        import transformers
    except ImportError as error:
        raise BackendError(
            f"Models in this process need PyTorch and transformers ({error}). Install them with: "
            'pip install "laconic[hf]"'
        ) from error
    folder = Path(settings.folder).expanduser()
    if not (folder / "config.json").is_file():
        raise ModelFileError(
            f"{folder} holds no model for transformers: there is no config.json in it. A folder is made from a GGUF by "
            "`laconic models export NAME --to DIR`."
        )
    tokenizer = FileTokenizer(folder)
    accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    device = settings.device or (accelerator.type if accelerator is not None else "cpu")
    dtype = getattr(torch, settings.dtype or ("float32" if device == "cpu" else "bfloat16"), None)
    if not isinstance(dtype, torch.dtype):
        raise FlowError(f"PyTorch has no type {settings.dtype!r}; float32 and bfloat16 are usual.")
    try:
        with _without_bars(transformers.utils.logging):
            model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, local_files_only=True)
        return Weights(model.to(device).eval(), tokenizer, settings)
    except (OSError, ValueError, RuntimeError) as error:
        raise BackendError(f"The model in {folder} cannot be run on {device}: {first_line(error)}") from error


@contextmanager
def _without_bars(logging: Any) -> Iterator[None]:
    """What shows progress here is the run's own display."""
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _fewer_layers(model: Any, skip: Sequence[int]) -> Any:
    """A model of the same weights that passes over some layers."""
    body = model.base_model
    layers = getattr(body, "layers", None)
    if layers is None:
        raise BackendError(
            f"Layers can only be left out of models that keep them in one list, not of {type(model).__name__}."
        )
    last = len(layers) - 1
    wrong = next((layer for layer in skip if not 0 < layer < last), None)
    if wrong is not None or len(set(skip)) != len(skip):
        raise FlowError(
            f"`skip` names layers between the first and the last, 1 to {last - 1}, each once, not {list(skip)}."
        )
    smaller, smaller_body = _alike(model), _alike(body)
    smaller_body.layers = type(layers)(layer for number, layer in enumerate(layers) if number not in skip)
    smaller_body.config = copy.copy(body.config)
    smaller_body.config.num_hidden_layers = len(smaller_body.layers)
    kinds = getattr(body.config, "layer_types", None)
    if kinds is not None:
        smaller_body.config.layer_types = [kind for number, kind in enumerate(kinds) if number not in skip]
    setattr(smaller, model.base_model_prefix, smaller_body)
    return smaller


def _alike(module: Any) -> Any:
    """A module with the same parts, in which parts may be exchanged."""
    other = copy.copy(module)
    other._modules = dict(module._modules)
    return other


def _accelerator(device: Any) -> str:
    """What a device is called by those who make it."""
    import torch

    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)


def vocabulary_digest(tokenizer: FileTokenizer) -> str:
    """A hash of all tokens and their ids."""
    return blake2b(json.dumps(tokenizer.vocabulary(), sort_keys=True).encode(), digest_size=16).hexdigest()


def first_line(error: Exception) -> str:
    """The first line of what an exception says, or its name."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
