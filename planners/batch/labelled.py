"""Labelled: items with their right answers, from a JSONL file, to measure on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from ...errors import FlowError, InputError
from ...orchestrator.template import as_text
from .reply import label_of


class Labelled(NamedTuple):
    """An item as it stands in a list, and its right answer."""

    item: Any
    answer: str


def read_labelled(base: Path, file: Path, labels: Sequence[str] | None) -> list[Labelled]:
    """The items of a file: a line is an object with `answer` and either `item` or the fields of the item.

    Raises FlowError if it cannot be read, InputError naming the line that is not valid.
    """
    try:
        path = (base / file.expanduser()).resolve()
        content = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    except (OSError, RuntimeError) as error:  # the latter for a home directory that there is not
        raise FlowError(f"the calibration file {str(file)!r} cannot be read: {error}") from error
    lines = [(number, line) for number, line in enumerate(content.split(b"\n"), start=1) if line.strip()]
    if not lines:
        raise InputError(f"the calibration file {str(file)!r} is empty: write one JSON object with `answer` a line")
    return [_labelled(line, f"{file}:{number}", labels) for number, line in lines]


def _labelled(line: bytes, where: str, labels: Sequence[str] | None) -> Labelled:
    try:
        fields = msgspec.json.decode(line, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"not a JSON object: {error}", where=where) from error
    said = fields.pop("answer", None)
    if said is None or isinstance(said, (dict, list)) or not as_text(said).strip():
        raise InputError("it needs an `answer` that is a text or a number", where=where)
    answer: str | None = as_text(said).strip()
    if labels is not None:
        answer = label_of(as_text(said), labels)
    if answer is None:
        raise InputError(f"the answer {as_text(said)!r} is none of the labels {', '.join(labels or ())}", where=where)
    return Labelled(fields.get("item", fields), answer)
