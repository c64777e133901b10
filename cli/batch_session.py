"""BatchSession: one `laconic batch` on its way: a single run of a flow over all items of a data file."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from ..accounting.totals import Total
from ..errors import InputError, LaconicError, LedgerError, NodeError
from ..evals.data import Data
from ..orchestrator import ItemsDecided, Result
from ..planners.batch.answers import Answers, By
from .batch_display import batch_display
from .batch_results import Write, columns_of, is_of
from .errors import say
from .session import STATUS, Session
from .text import harmless, one_line

BY: dict[By, str] = {"batch": "by vote", "single": "by a prompt of their own", "calibration": "by calibration"}
"""How an item comes to its answer, in the words of the last line."""


class BatchSession(Session):
    """Runs a job whose items all go into one run."""

    def whole(self, data: Data, name: str, write: Write) -> int:
        """Run the flow with the fields of all items as its input `name`; returns the exit status."""
        inputs = {**self.job.inputs, name: [item.fields for item in data.items]}
        with batch_display(self._settle) as display:
            result = self._run(self._one(inputs, display.event))
        ids = [item.id for item in data.items]
        status, error = _ended(result, len(ids))
        self._end(status, _counts(result.outputs, data), error)
        columns = columns_of(ids, result.outputs)
        if columns:
            self._hand_over(write(columns))
        for line in _others(result.outputs, len(ids)):
            say(line)
        if columns:
            spent = f"; {self._against_single(display.standing)}" if display.standing else ""
            say(f"{len(ids):,} items: {_answered(result.outputs, len(ids))}{spent}")
        if error is not None:
            say(f"error: {error}")
        self._say_what_it_cost(result.ledger.total(), status)
        return STATUS[status]

    def _settle(self) -> None:
        with suppress(LedgerError):  # a full disk does not stop the run; closing the ledger says what is not in it
            self.ledger.flush()

    def _hand_over(self, content: bytes) -> None:
        if self.sink is not None:
            try:
                self.sink.buffer.write(content)
                self.sink.flush()
            except OSError as error:
                where = getattr(self.sink, "name", "--out")
                raise InputError(f"the results cannot be written to {where}: {error.strerror}") from error
            return
        text = content.decode()
        sys.stdout.write(harmless(text) if sys.stdout.isatty() else text)
        sys.stdout.flush()

    def _against_single(self, standing: Mapping[str, ItemsDecided]) -> str:
        """What the batch nodes spent, as if no answer had been reused, beside what single prompting would have."""
        spent = Total()
        for path in standing:
            spent += Total.of(self.ledger.select(run=self.job.run, under=path).calls, virtual=True)
        singles = [of.single for of in standing.values()]
        single = sum(of for of in singles if of is not None) if None not in singles else 0
        beside = f", {100 * spent.total / single:.0f} % of single prompting's about {single:,}" if single else ""
        return f"{spent.show('total')} tokens in {spent.calls:,} calls{beside}"


def _ended(result: Result, number: int) -> tuple[str, LaconicError | None]:
    """The status of the whole, and what is the matter with it."""
    if result.error is not None:
        return result.status, result.error  # what a budget cut short has its lists all the same
    lists = [value for value in result.outputs.values() if is_of(value, number)]
    if not lists:
        found = ", ".join(f"{name} is {_what(value)}" for name, value in result.outputs.items())
        return "failed", NodeError(f"no output of the flow is a list of {number}, one for each item: {found}")
    return "ok", None


def _what(value: Any) -> str:
    return f"a list of {len(value)}" if isinstance(value, (list, tuple)) else f"no list but {type(value).__name__}"


def _others(outputs: Mapping[str, Any], number: int) -> list[str]:
    """The outputs that are no columns."""
    shown = {name: value for name, value in outputs.items() if not is_of(value, number)}
    return [
        f"{name}: {one_line(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str))}"
        for name, value in shown.items()
    ]


def _answered(outputs: Mapping[str, Any], number: int) -> str:
    """How many items came to their answers in which way, for each column of answers."""
    told = {}
    for name, value in outputs.items():
        if isinstance(value, Answers) and len(value) == number:
            ways = Counter(detail.by for detail in value.details)
            known = [f"{ways[by]:,} {words}" for by, words in BY.items() if ways[by] or by != "calibration"]
            told[name] = f"{', '.join(known)}, {ways['nobody']:,} without an answer"
        elif is_of(value, number):
            missing = sum(of is None for of in value)
            told[name] = f"{number - missing:,} with a value, {missing:,} without"
    return "; ".join(f"{name} {words}" if len(told) > 1 else words for name, words in told.items())


def _counts(outputs: Mapping[str, Any], data: Data) -> dict[str, int]:
    """What the record of the run keeps."""
    lists = [value for value in outputs.values() if is_of(value, len(data.items))]
    ok = min((sum(answer is not None for answer in answers) for answers in lists), default=0)
    return {"items": len(data.items), "ok": ok, "lines left out": len(data.problems)}
