"""The folder with a model's safetensors: the one that is named, or one made once from the catalogue's GGUF."""

from __future__ import annotations

from pathlib import Path

from filelock import FileLock

from .. import catalogue
from ..export import export


def model_folder(model: str) -> Path:
    """The folder of a model: a path, or a name of the catalogue, whose GGUF is converted the first time.

    Converting takes a minute or so; the folder then stays in that of the models. A path is returned as it is.
    Raises `ModelFileError` for a name whose GGUF is not on this machine.
    """
    if model.lower() not in catalogue.CATALOGUE or Path(model).expanduser().is_dir():
        return Path(model).expanduser()
    kept = catalogue.models_folder() / "safetensors"
    kept.mkdir(parents=True, exist_ok=True)
    name = catalogue.entry(model).name
    with FileLock(kept / f".{name}.lock"):
        return kept / name if (kept / name).is_dir() else export(model, kept / name)
