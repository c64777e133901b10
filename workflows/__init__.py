"""Ready flows: YAML files in this folder, with a small encyclopedia, a database, and questions to try them on."""

from __future__ import annotations

from pathlib import Path

__all__ = ["folder"]


def folder() -> Path:
    """The folder of the YAML files.

    `data/` in it holds `encyclopedia.jsonl` with `questions.jsonl`, and the database `shop.sqlite` with
    `shop_questions.jsonl` (question, hint, gold SQL, difficulty); `scripts/make_shop.py` makes the database.
    """
    return Path(__file__).resolve().parent
