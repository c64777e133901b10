"""The file of a neural router of tokens: what it says of itself, read without PyTorch.

The network stands in `transformers/router.py`. It watches one model, and was trained to ask for the tokens of one
other; for any other it is refused, since what it learned from hidden states means nothing there.
"""

from __future__ import annotations

import json
from hashlib import blake2b
from pathlib import Path

import msgspec

from ..errors import ModelFileError
from .doubt import TOP

HEADER = 100 << 20
"""Bytes that the head of a safetensors file has at most."""
KEY = "laconic token router"
"""Under which entry of the file's metadata `About` stands."""


class Shape(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Sizes of a router. R2R's own, for a model with a hidden size of 1536: 55 million parameters."""

    hidden: int
    """Of the hidden states of the model that it watches."""
    width: int = 1024
    blocks: int = 6
    expansion: int = 4

    @property
    def parameters(self) -> int:
        """How many a router of this shape has."""
        inner = self.width * self.expansion
        block = 2 * self.width + (self.width + 1) * inner + (inner + 1) * self.width
        inputs = (TOP + 1) * self.hidden + (3 * self.hidden + 1) * self.width
        return inputs + self.blocks * block + 2 * self.width + self.width + 1


class About(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a router is, and how it came to be: the head of its file."""

    shape: Shape
    small: str
    """Digest of the weights of the model that it watches."""
    large: str
    """Digest of those of the model whose tokens it was trained to ask for."""
    vocabulary: str
    """Digest of the tokens of both."""
    threshold: float
    """From which doubt on the large model is asked, as chosen on questions that were held out."""
    recall: float
    """Share of the divergent tokens of those questions that are above the threshold."""
    share: float
    """Share of all their tokens that are."""
    judge: str
    """Who said which tokens are divergent."""
    learned: tuple[str, ...]
    """Digests of the prompts that it learned from."""
    held_out: tuple[str, ...]
    """Those of the prompts by which the epoch and the threshold were chosen."""


def read_about(path: Path) -> About:
    """What a router's file says of it. Raises `ModelFileError` for a file that is none."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(min(length, HEADER)))
        return msgspec.json.decode(header["__metadata__"][KEY], type=About)
    except FileNotFoundError:
        raise ModelFileError(f"there is no router {str(path)!r}; `laconic token-router train` makes one") from None
    except OSError as error:
        raise ModelFileError(f"the router {str(path)!r} cannot be read: {error.strerror}") from error
    except (KeyError, TypeError, ValueError, RecursionError, msgspec.MsgspecError) as error:
        raise ModelFileError(f"{str(path)!r} is no router of tokens; `laconic token-router train` makes one") from error


def file_digest(path: Path) -> str:
    """A hash of a router's whole file. Raises `ModelFileError` if it cannot be read."""
    digest = blake2b(digest_size=16)
    try:
        with path.open("rb") as file:
            while piece := file.read(1 << 20):
                digest.update(piece)
    except OSError as error:
        raise ModelFileError(f"the router {str(path)!r} cannot be read: {error.strerror}") from error
    return digest.hexdigest()


def written(about: About) -> dict[str, str]:
    """What `About` is in a file's metadata."""
    return {KEY: msgspec.json.encode(about).decode()}


def mismatch(about: About, *, vocabulary: str | None, small: str | None, large: str | None = None) -> str:
    """What of these is not what the router was trained with; empty if all is. A `large` of None is not looked at."""
    if vocabulary != about.vocabulary:
        return "another tokenizer"
    if small != about.small:
        return "another small model"
    return "another large model" if large is not None and large != about.large else ""
