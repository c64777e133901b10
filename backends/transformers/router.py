"""The neural router of R2R (arXiv 2505.21600): from a token's logits, hidden state and embedding to how divergent it is.

The 100 likeliest logits are projected to the model's hidden size and put beside the hidden state and the token's
embedding; then come residual blocks and one sigmoid. A file of its weights (safetensors) says which model it was
trained with, and is refused for any other.
"""

from __future__ import annotations

import json
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from ...errors import BackendError, ModelFileError
from ..doubt import TOP
from .weights import vocabulary_digest

if TYPE_CHECKING:
    from .weights import Weights


class Shape(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Sizes of a router. R2R's own: 1536 hidden, width 1024, 6 blocks, expansion 4, about 56 million parameters."""

    hidden: int
    """Of the small model's hidden state."""
    width: int = 1024
    blocks: int = 6
    expansion: int = 4


class About(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a router's file says of it."""

    shape: Shape
    small: str
    """Digest of the model that it watches."""
    large: str
    """Digest of the model whose tokens it was trained to ask for."""
    vocabulary: str
    """Digest of their tokens."""
    threshold: float
    """What was chosen on validation data."""
    recall: float
    """Share of the divergent tokens of the validation data that are above the threshold."""


class Router:
    """A router that is ready to be asked."""

    def __init__(self, parts: Any, about: About, embeddings: Any) -> None:
        self._parts = parts
        self._embeddings = embeddings
        self.about = about

    def doubt(self, logits: Any, hidden: Any, token: int, position: int) -> float:
        """How likely the token is to lead the answer elsewhere than the large model's, 0 to 1."""
        top = logits.topk(min(TOP, logits.shape[-1])).values
        embedding = self._embeddings.weight[token]
        logit = forward(self._parts, top.float()[None], hidden.float()[None], embedding.float()[None])
        return float(logit.sigmoid())


def build(shape: Shape) -> Any:
    """The parts of a router with new weights, a PyTorch module; `forward` runs them."""
    from torch import nn

    inner = shape.width * shape.expansion
    blocks = {
        f"block{number}": nn.Sequential(
            nn.LayerNorm(shape.width), nn.Linear(shape.width, inner), nn.GELU(), nn.Linear(inner, shape.width)
        )
        for number in range(shape.blocks)
    }
    return nn.ModuleDict(
        {
            "logits": nn.Linear(TOP, shape.hidden),
            "project": nn.Linear(3 * shape.hidden, shape.width),
            **blocks,
            "head": nn.Sequential(nn.LayerNorm(shape.width), nn.Linear(shape.width, 1)),
        }
    )


def forward(parts: Any, logits: Any, hidden: Any, embedding: Any) -> Any:
    """A logit for each token: of its being divergent. Shapes [n, 100], [n, hidden], [n, hidden] -> [n]."""
    import torch

    x = parts["project"](torch.cat([parts["logits"](logits), hidden, embedding], dim=-1))
    for name, block in parts.items():
        if name.startswith("block"):
            x = x + block(x)
    return parts["head"](x)[:, 0]


def save(path: Path, parts: Any, about: About) -> None:
    """Write a router's weights, and what they are for, into one file."""
    from safetensors.torch import save_file

    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(parts.state_dict(), path, metadata={"laconic": msgspec.json.encode(about).decode()})


def digest(path: Path) -> str:
    """Hash of a router's file. Raises `ModelFileError` if it cannot be read."""
    try:
        return blake2b(path.read_bytes(), digest_size=16).hexdigest()
    except OSError as error:
        raise ModelFileError(f"the router {path} cannot be read: {error.strerror}") from error


def read_about(path: Path) -> About:
    """What a router's file says of it. Raises `ModelFileError` for a file that is none."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(min(length, 1 << 20)))
        return msgspec.json.decode(header["__metadata__"]["laconic"], type=About)
    except OSError as error:
        raise ModelFileError(f"the router {path} cannot be read: {error.strerror}") from error
    except (KeyError, TypeError, ValueError, msgspec.MsgspecError) as error:
        raise ModelFileError(f"{path} is no router of tokens; `laconic token-router train` writes one") from error


@lru_cache(maxsize=4)
def _read(path: Path, expected: str) -> tuple[Any, About]:
    from safetensors.torch import load_file

    if expected and digest(path) != expected:
        raise ModelFileError(f"the router {path} has changed since it was named")
    about = read_about(path)
    parts = build(about.shape)
    parts.load_state_dict(load_file(path))
    return parts.eval(), about


def load_router(file: str, expected: str, weights: Weights) -> Router:
    """The router in a file, for one model.

    Raises `ModelFileError` for a file that is none, and `BackendError` for one that was trained with another model.
    """
    parts, about = _read(Path(file), expected)
    small, words = weights.digest, vocabulary_digest(weights.tokenizer)
    if (about.small, about.vocabulary) != (small, words):
        what = "model" if about.vocabulary == words else "tokenizer"
        raise BackendError(
            f"the router {file} was trained with another small {what} than {weights.settings.folder}; train one for it "
            "with `laconic token-router train`"
        )
    return Router(parts.to(weights.device), about, weights.model.get_input_embeddings())
