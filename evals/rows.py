"""Rows: what one flow made of one item, appended to a JSONL file as soon as it is known."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from ..accounting.activation import Tokens
from ..accounting.call import Call
from ..accounting.totals import Total
from ..errors import InputError
from ..planners.batch.answers import Share


class Row(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one flow made of one item.

    Token figures are sums over all its calls, failed ones included, as if no answer had been reused: what a flow costs
    must not depend on what was asked before. `avoided` says how many of these tokens were not really spent.
    """

    flow: str
    id: str
    key: str
    """Hash of the flow as written, its models, its folder, the item's inputs and gold, and how answers are judged: an
    equal key is the same question to the same flow."""
    run: str
    """The run in the ledger."""
    group: str = ""
    """The item's database, if it has one."""
    answer: str = ""
    outputs: dict[str, Any] = {}
    """The flow's other outputs, those that are small."""
    gold: tuple[str, ...] = ()
    score: str = "text"
    """Name of the measure by which `em` and `f1` were found."""
    em: float = 0.0
    """Exact match, or execution accuracy: 0 or 1."""
    f1: float = 0.0
    """0 to 1; the same as `em` for a measure that knows no half a right answer."""
    status: str = "ok"
    """`ok`, `failed`, `budget`, or `unserved`: the server did not answer, which says nothing of the flow."""
    prompt: int = 0
    cached: int = 0
    completion: int = 0
    total: int = 0
    roles: dict[str, Tokens] = {}
    """What each role's model computed; empty for an item that was asked together with others."""
    parameters: dict[str, float] = {}
    """Of each role's model, where the flow says it."""
    router_parameters: float = 0
    """Of a network that looked at every token of the small model, where two models wrote the answer."""
    published: int = 0
    """The tokens as the view `published:rewoo` sums them."""
    messages: int = 0
    """Of the completion tokens those that agents sent each other, as the view `published:optima` sums them."""
    calls: int = 0
    avoided: int = 0
    seconds: float = 0.0
    together: int = 1
    """Items that were asked together; each has its part of the `seconds`."""
    steps: int = 0
    """Nodes that the answering node expanded into (plan, tool steps, solve); calls, if it did not."""
    unknown: tuple[str, ...] = ()
    """Which of prompt, cached, completion are lower bounds, because a server did not say."""
    estimated: int = 0
    """Calls whose tokens could only be estimated."""
    error: str = ""
    finished: float = 0.0
    """Unix time, seconds."""

    @property
    def answered(self) -> bool:
        """Whether this row stands. What a server left unanswered is asked again."""
        return self.status != "unserved"


def tokens_of(calls: Sequence[Call]) -> dict[str, object]:
    """The token fields of a row."""
    total, spent = Total.of(calls, virtual=True), Total.of(calls)
    return {
        "prompt": total.prompt,
        "cached": total.cache_read,
        "completion": total.completion,
        "total": total.total,
        "roles": {
            role: Tokens.of(call for call in calls if call.model == role)
            for role in sorted({call.model for call in calls})
        },
        "calls": total.sent,
        "avoided": spent.avoided_prompt + spent.avoided_completion,
        "unknown": unknown_of(total),
        "estimated": total.estimated,
    }


def tokens_of_share(share: Share, *, avoided: int, unknown: tuple[str, ...], estimated: int) -> dict[str, object]:
    """The token fields of the row of an item that was asked together with others."""
    return {
        "prompt": share.prompt,
        "cached": share.cached,
        "completion": share.completion,
        "total": share.total,
        "calls": share.calls,
        "avoided": avoided,
        "unknown": unknown,
        "estimated": estimated,
    }


def unknown_of(total: Total) -> tuple[str, ...]:
    """Which of prompt, cached and completion are lower bounds."""
    names = {"prompt": "prompt", "cache_read": "cached", "completion": "completion"}
    return tuple(short for field, short in names.items() if total.at_least(field))


class RowFile:
    """A JSONL file of rows, written line by line, each line at once: whatever kills the process, whole rows stay."""

    def __init__(self, path: str | Path | None) -> None:
        """Open for appending. Raises InputError if the file cannot be written."""
        self._file: int | None = None
        if path is None:
            return
        path = Path(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
            size = os.fstat(self._file).st_size
            if size and os.pread(self._file, 1, size - 1) != b"\n":
                os.write(self._file, b"\n")  # a killed process left half a line; it stays apart from what follows
        except OSError as error:
            raise InputError(f"the results cannot be written to {str(path)!r}: {error.strerror}") from error

    def append(self, row: Row) -> None:
        """Write one row."""
        if self._file is not None:
            line = msgspec.json.encode(row) + b"\n"
            while line:
                line = line[os.write(self._file, line) :]

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def read_rows(path: str | Path) -> list[Row]:
    """The rows of a file, the last one for each flow, item and key; none if there is no file.

    Half a line, left by a killed process, is passed over. Raises InputError if the file holds something else.
    """
    try:
        lines = Path(path).read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise InputError(f"the results {str(path)!r} cannot be read: {error.strerror}") from error
    decoder = msgspec.json.Decoder(Row)
    rows: dict[tuple[str, str, str], Row] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = decoder.decode(line)
        except msgspec.ValidationError as error:
            raise InputError(f"not a row of a comparison: {error}", where=f"{path}:{number}") from error
        except msgspec.DecodeError:
            continue
        rows[row.flow, row.id, row.key] = row
    return list(rows.values())


def by_flow(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Rows by flow, both in the order given."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row.flow, []).append(row)
    return found
