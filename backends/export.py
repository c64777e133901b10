"""A GGUF as a folder with safetensors, which vLLM can load."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from ..errors import ModelFileError, ServerNotStarted
from . import catalogue
from .vllm_python import VARIABLE, find_python

NEEDED = ("torch", "transformers", "gguf")


def export(name_or_path: str | Path, to: str | Path, *, python: str | None = None) -> Path:
    """Write the weights (bfloat16), tokenizer and chat template of a GGUF to the folder `to`, and return it.

    `name_or_path`: a name of the catalogue or a path. `python`: an interpreter that has torch, transformers and gguf;
    else this one if it has them, else the one that has vLLM. Takes half a minute or more, and some 4 bytes of memory a
    parameter. The folder is there when it is whole, and not before.

    Raises `ModelFileError` if the file is not there or cannot be converted, or if `to` is there and not empty.
    """
    gguf = catalogue.path(name_or_path).resolve()
    folder = Path(to).expanduser().absolute()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ModelFileError(
            f"{folder} is there already and is not empty; give the name of a folder that is not there."
        )
    interpreter = python or _python()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as partial:
            made = Path(partial) / folder.name
            made.mkdir()
            _convert(interpreter, gguf, made)
            made.replace(folder)
    except OSError as error:
        raise ModelFileError(f"{gguf} cannot be exported to {folder}: {error}") from error
    return folder


def _python() -> str:
    if all(importlib.util.find_spec(name) is not None for name in NEEDED):
        return sys.executable
    try:
        return find_python()
    except ServerNotStarted:
        raise ModelFileError(
            f"A GGUF is exported with {', '.join(NEEDED)}, which are not installed. Install them with: pip install "
            f'"laconic[hf]", or name the Python of an environment that has them in {VARIABLE}.'
        ) from None


def _convert(python: str, gguf: Path, folder: Path) -> None:
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as messages,
        subprocess.Popen(
            [python, "-P", str(Path(__file__).with_name("export_process.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=messages,
            text=True,
            encoding="utf-8",
        ) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps({"gguf": str(gguf), "folder": str(folder)}) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        finally:
            process.kill()
        said: dict[str, Any] = json.loads(line) if line else {"error": None}
        if "error" in said:
            messages.seek(0)
            printed = messages.read().strip().rpartition("\n")[2]
            reason = said["error"] or printed or "its process was killed, perhaps for want of memory"
            raise ModelFileError(f"{gguf} cannot be exported: {str(reason)[:300].rstrip('.')}.")
