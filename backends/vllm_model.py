"""What a vLLM server may be asked to serve: a name of the model hub, or a folder with safetensors."""

from __future__ import annotations

import re
from pathlib import Path

from ..errors import ModelFileError
from .catalogue import CATALOGUE

_HUB_NAME = re.compile(r"[\w.-]+(?:/[\w.-]+)?")


def find_model(model: str | Path) -> str:
    """The hub name as it is, or the absolute path of the folder.

    Raises `ModelFileError` for a folder that is not there or holds no model, and for a GGUF, which vLLM does not load.
    """
    path = Path(model).expanduser()
    if path.is_dir():
        if not (path / "config.json").is_file():
            raise ModelFileError(f"{path} holds no model for vLLM: there is no config.json in it.")
        return str(path.resolve())
    text = str(model)
    if text.lower() in CATALOGUE or text.lower().endswith(".gguf"):
        raise ModelFileError(
            f"vLLM loads safetensors, and {text} is a GGUF. Make a folder that vLLM can load with `laconic models "
            f"export {text} --to DIR`, and give that folder."
        )
    if isinstance(model, Path) or text.startswith(("~", ".")) or not _HUB_NAME.fullmatch(text):
        raise ModelFileError(f"There is no folder {path}.")
    return text


def served_name(model: str | Path) -> str:
    """What requests call the model: the name of its folder, or the hub's."""
    path = Path(model).expanduser()
    return path.resolve().name if path.is_dir() else str(model)
