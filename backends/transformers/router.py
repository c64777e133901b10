"""The neural router of R2R (Fu et al., 2025, arXiv 2505.21600): from what a model thinks to how divergent a token is.

The 100 likeliest logits are projected to the size of the hidden state and put beside it and beside the embedding of the
token that was chosen; then come residual blocks and one sigmoid.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import BadRequest, ModelFileError
from ..doubt import TOP
from ..token_router import About, Shape, file_digest, mismatch, read_about, written

if TYPE_CHECKING:
    from .weights import Weights


class Router:
    """A router that is ready to be asked about the tokens of one model."""

    def __init__(self, network: Any, about: About, embeddings: Any) -> None:
        """`network`: on the model's device, see `build`. `embeddings`: the model's, by token."""
        self.about = about
        self._network = network
        self._embeddings = embeddings

    def doubt(self, logits: Any, hidden: Any, token: int) -> float:
        """How likely the token is to lead elsewhere than the large model's, 0 to 1.

        `token` is the one that was chosen; `logits` [vocabulary] and `hidden` [hidden] are those that it comes from.
        """
        top, embedding = logits.topk(TOP).values, self._embeddings.weight[token]
        return float(forward(self._network, *(part.float()[None] for part in (top, hidden, embedding))).sigmoid())


def build(shape: Shape) -> Any:
    """A network with new weights, a PyTorch module; `forward` runs it."""
    from torch import nn

    inner = shape.width * shape.expansion
    blocks = (
        nn.Sequential(
            nn.LayerNorm(shape.width), nn.Linear(shape.width, inner), nn.GELU(), nn.Linear(inner, shape.width)
        )
        for _ in range(shape.blocks)
    )
    return nn.ModuleDict(
        {
            "logits": nn.Linear(TOP, shape.hidden),
            "project": nn.Linear(3 * shape.hidden, shape.width),
            "blocks": nn.ModuleList(blocks),
            "head": nn.Sequential(nn.LayerNorm(shape.width), nn.Linear(shape.width, 1)),
        }
    )


def forward(network: Any, logits: Any, hidden: Any, embedding: Any) -> Any:
    """The log odds that each token is divergent. Shapes [n, 100], [n, hidden], [n, hidden] -> [n]."""
    import torch

    x = network["project"](torch.cat([network["logits"](logits), hidden, embedding], dim=-1))
    for block in network["blocks"]:
        x = x + block(x)
    return network["head"](x)[:, 0]


def save_router(path: Path, network: Any, about: About) -> None:
    """Write a router's file. Raises `ModelFileError` if it cannot be written."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    try:
        save_file(network.state_dict(), path, metadata=written(about))
    except (OSError, SafetensorError) as error:
        raise ModelFileError(f"the router cannot be written to {str(path)!r}: {error}") from error


def load_network(path: Path) -> tuple[Any, About]:
    """The network in a file, and what the file says of it. Raises `ModelFileError` for a file that is none."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    about = read_about(path)
    network = build(about.shape)
    try:
        network.load_state_dict(load_file(path))
    except (SafetensorError, RuntimeError) as error:
        raise ModelFileError(f"the router {str(path)!r} is damaged; train it again: {error}") from error
    return network.eval().requires_grad_(False), about


def router_for(weights: Weights, file: str, digest: str) -> Router:
    """The router in a file, read at most once, for the model that it watches.

    Raises `BadRequest` for a file that is not the one that `digest` is the hash of, that is no router, or that was
    trained with another small model or tokenizer.
    """
    try:
        network, about = _load(Path(file), digest, str(weights.device))
    except ModelFileError as error:
        raise BadRequest(str(error)) from error
    other = mismatch(about, vocabulary=weights.vocabulary_digest, small=weights.digest)
    if other:
        raise BadRequest(
            f"the router {file!r} was trained with {other} than {weights.settings.folder}; train one for it with "
            "`laconic token-router label` and `train`"
        )
    return Router(network, about, weights.model.get_input_embeddings())


@lru_cache(maxsize=4)
def _load(path: Path, digest: str, device: str) -> tuple[Any, About]:
    if file_digest(path) != digest:
        raise ModelFileError(f"the router {str(path)!r} is not the file any longer that it was")
    network, about = load_network(path)
    return network.to(device), about
