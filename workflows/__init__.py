"""Ready flows: YAML files in this folder, with a small encyclopedia and questions to try them on."""

from __future__ import annotations

from pathlib import Path

__all__ = ["folder"]


def folder() -> Path:
    """The folder of the YAML files; `data/` in it holds `encyclopedia.jsonl` and `questions.jsonl`."""
    return Path(__file__).resolve().parent
