"""A digest of a model's weights: what tells whether a router was trained with them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO

PIECE = 4096
"""Bytes that are looked at of each tensor."""
SAYS_NOTHING = ("transformers_version", "_name_or_path")
"""What of a configuration is about who wrote it."""


def weights_digest(folder: Path, skip: Sequence[int]) -> str | None:
    """A hash of a model in safetensors, the layers that are left out said with it; None for other files.

    It is over the configuration and, of each tensor, name, type, shape and 4 KiB from its middle: a step of training
    changes every tensor that it trains nearly everywhere, so that a few milliseconds tell what reading gigabytes would.
    Into how many files the tensors are divided does not matter.
    """
    files = _files(folder)
    if not files:
        return None
    config = json.loads((folder / "config.json").read_bytes())
    found = {
        "config": {name: value for name, value in config.items() if name not in SAYS_NOTHING},
        "tensors": sorted(tensor for file in files for tensor in _tensors(file)),
        "skip": sorted(skip),
    }
    return blake2b(json.dumps(found, sort_keys=True).encode(), digest_size=16).hexdigest()


def _files(folder: Path) -> list[Path]:
    """Where the weights are, as transformers looks for them: other safetensors may lie beside them."""
    whole, index = folder / "model.safetensors", folder / "model.safetensors.index.json"
    if whole.is_file():
        return [whole]
    if index.is_file():
        return sorted({folder / name for name in json.loads(index.read_bytes())["weight_map"].values()})
    return sorted(folder.glob("*.safetensors"))


def _tensors(path: Path) -> Iterator[tuple[str, str, list[int], str]]:
    """Name, type, shape and a hash of some bytes of each tensor."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
        for name, tensor in header.items():
            if name != "__metadata__":
                yield name, tensor["dtype"], tensor["shape"], _piece(file, 8 + length, *tensor["data_offsets"])


def _piece(file: BinaryIO, data: int, begin: int, end: int) -> str:
    size = min(PIECE, end - begin)
    file.seek(data + begin + (end - begin - size) // 2)
    return blake2b(file.read(size), digest_size=16).hexdigest()
