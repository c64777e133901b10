"""Training: an adapter (LoRA) for a model, by TRL, on exported records. It runs in a process of its own.

The process ends when this one does, and gives back the memory it took. The adapter's folder says what it was trained
on.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import msgspec

from ...errors import InputError, LaconicError
from ..data import json_lines, read_bytes

Kind = Literal["sft", "pairs"]
COLUMNS: dict[Kind, tuple[str, ...]] = {"sft": ("prompt", "completion"), "pairs": ("prompt", "chosen", "rejected")}
NEEDED = ("trl", "peft", "datasets", "torch", "transformers")
VARIABLE = "LACONIC_TRAIN_PYTHON"
"""What TRL needs and what vLLM needs need not go together: it may have an environment of its own."""
ABOUT = "trained-on.json"
"""The file in an adapter's folder that says what it was trained on."""
PROGRAM = Path(__file__).with_name("training_process.py")


class Training(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be trained, and how."""

    kind: Kind
    records: Path
    model: Path
    out: Path
    rank: int = 16
    """Of the adapter's matrices."""
    epochs: float = 1.0
    learning_rate: float | None = None
    """None for what suits the kind: 2e-4 for imitation, 5e-6 for preferences."""
    most_steps: int | None = None
    most_tokens: int = 4096
    """Longest record, in tokens."""
    batch: int = 1
    """Records of a step."""


class Trained(msgspec.Struct, frozen=True, kw_only=True):
    """What an adapter was trained on, as its folder says it."""

    kind: Kind
    model: str
    model_sha256: str
    """Over the names and contents of the model folder's configuration, tokenizer and weights."""
    records: str
    records_sha256: str
    number: int
    rank: int
    epochs: float
    learning_rate: float
    steps: int
    loss: float
    """Mean over the steps."""
    packages: dict[str, str]


def train(job: Training, *, on_line: Callable[[str], None] | None = None) -> Trained:
    """Train and keep the adapter in `job.out`. `on_line` is told what the process prints.

    Raises InputError for records, a model or a folder that cannot be used or an extra that is missing, and LaconicError
    with what TRL said if it fails.
    """
    number = _checked(job.records, COLUMNS[job.kind])
    if not (job.model / "config.json").is_file():
        raise InputError(f"{str(job.model)!r} is no folder with a model in it (config.json, *.safetensors, tokenizer)")
    if job.out.exists() and not job.out.is_dir():
        raise InputError(f"{str(job.out)!r} is a file; an adapter gets a folder of its own")
    if job.out.exists() and any(job.out.iterdir()):
        raise InputError(f"the folder {str(job.out)!r} is not empty; an adapter gets one of its own")
    python = find_python()
    rate = job.learning_rate if job.learning_rate is not None else 2e-4 if job.kind == "sft" else 5e-6
    asked = {
        "kind": job.kind,
        "records": str(job.records.resolve()),
        "model": str(job.model.resolve()),
        "out": str(job.out.resolve()),
        "rank": job.rank,
        "epochs": job.epochs,
        "learning_rate": rate,
        "most_steps": job.most_steps or -1,
        "most_tokens": job.most_tokens,
        "batch": job.batch,
    }
    said = _run(asked, python, on_line)
    trained = Trained(
        kind=job.kind,
        model=job.model.resolve().name,
        model_sha256=hash_of_model(job.model),
        records=job.records.name,
        records_sha256=hashlib.sha256(job.records.read_bytes()).hexdigest(),
        number=number,
        rank=job.rank,
        epochs=job.epochs,
        learning_rate=rate,
        steps=said["steps"],
        loss=said["loss"],
        packages=said["packages"],
    )
    (job.out / ABOUT).write_bytes(msgspec.json.format(msgspec.json.encode(trained)) + b"\n")
    return trained


def find_python() -> str:
    """The interpreter that has the extra `train`: the one that the variable names, else this one.

    Raises InputError that says how to install it.
    """
    named = os.environ.get(VARIABLE)
    if named:
        found = shutil.which(os.path.expanduser(named))
        if found is None:
            raise InputError(
                f"{VARIABLE} should name the Python interpreter that has TRL, and there is none at {named}"
            )
        return found
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise InputError(
            f'training needs {", ".join(missing)}: pip install "laconic[train]", or name the Python of an environment '
            f"that has it with {VARIABLE}"
        )
    return sys.executable


def hash_of_model(folder: Path) -> str:
    """SHA-256 over the files that make a model what it is, each with its name."""
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.suffix in (".json", ".safetensors", ".jinja", ".model", ".txt"):
            digest.update(path.name.encode() + b"\0")
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def how_to_serve(model: Path, adapter: Path, rank: int) -> str:
    """The `models` section of a flow in which vLLM answers with the adapter."""
    name = adapter.resolve().name
    # vLLM serves an adapter under a name of its own, beside the model: `extra` asks for it.
    options = {
        "enable_lora": True,
        "max_lora_rank": next((size for size in (8, 16, 32, 64, 128, 256, 320, 512) if size >= rank), rank),
        "lora_modules": [f"{name}={adapter.resolve()}"],
    }
    entry = {
        "backend": "vllm",
        "model": str(model.resolve()),
        "extra": {"model": name},
        "options": options,
    }
    return "models:\n  large: " + json.dumps(entry, ensure_ascii=False)


def _checked(path: Path, columns: tuple[str, ...]) -> int:
    """How many records there are. Raises InputError for a line that TRL would not read as one."""
    number = 0
    for line, record in json_lines(read_bytes(path)):
        if not isinstance(record, dict):
            raise InputError("not a record: a line is a JSON object", where=f"{path}:{line}")
        for column in columns:
            if not _is_chat(record.get(column)):
                raise InputError(
                    f"the field {column!r} must be a list of {{role, content}}, as `laconic protocol select` writes it",
                    where=f"{path}:{line}",
                )
        number += 1
    if not number:
        raise InputError(f"there is no record in {str(path)!r}: no conversation was good enough to learn from")
    return number


def _is_chat(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(turn, dict) and {"role", "content"} <= turn.keys() for turn in value)
    )


def _run(asked: dict[str, Any], python: str, on_line: Callable[[str], None] | None) -> dict[str, Any]:
    process = subprocess.Popen(
        [python, "-P", str(PROGRAM)],  # -P: what lies beside the program is no library of its own
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    last: list[str] = []
    try:
        process.stdin.write(json.dumps(asked) + "\n")
        process.stdin.flush()
        for line in process.stdout:
            last = [*last[-20:], line.rstrip()]
            if line.startswith("{") and '"steps"' in line:
                return dict(json.loads(line))
            if on_line is not None:
                on_line(line.rstrip())
        raise LaconicError("the training ended without an adapter; the last it said was:\n" + "\n".join(last))
    finally:
        process.stdin.close()  # the process ends with its input
        process.wait()
        process.stdout.close()
