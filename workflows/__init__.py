"""Ready flows: YAML files in this folder, and data to try them on: an encyclopedia, a database, questions, messages."""

from __future__ import annotations

from pathlib import Path

__all__ = ["folder"]


def folder() -> Path:
    """The folder of the YAML files.

    `data/` in it holds `encyclopedia.jsonl` with `questions.jsonl`, the database `shop.sqlite` with
    `shop_questions.jsonl` (question, hint, gold SQL, difficulty), which `scripts/make_shop.py` makes, and
    `support_messages.jsonl` (id, text, answer): 246 messages to such a shop, each with what it is about.
    """
    return Path(__file__).resolve().parent
