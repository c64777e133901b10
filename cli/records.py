"""The runs of a comparison, one a flow, as the ledger file remembers them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Self

import msgspec

from ..accounting.audit import Audit
from ..accounting.database import Database
from ..accounting.runs import RunRecord
from ..errors import LaconicError
from ..evals.contestant import Contestant
from .job import COMPARE, DATA, PROCESS, this_process


class Records:
    """The runs of a comparison, one a flow, as `laconic runs` shows them."""

    def __init__(self, database: Database, data: Path, audit: Audit) -> None:
        """`audit`: its readings are kept beside every run."""
        self._database, self._data, self._audit = database, data, audit
        self._begun: list[RunRecord] = []
        self.status = "cancelled"

    def __enter__(self) -> Self:
        return self

    def start(self, contestant: Contestant) -> None:
        """A flow is about to spend its first token."""
        if any(record.run == contestant.run for record in self._begun):
            return
        record = RunRecord(
            run=contestant.run,
            flow=contestant.name,
            text=contestant.flow.dump(),
            folder=str(contestant.flow.base.resolve()),
            inputs={COMPARE: True, DATA: str(self._data.resolve()), PROCESS: this_process()},
            started=time.time(),
        )
        self._begun.append(record)
        self._database.save_run(record)
        self._audit.keep(record.run)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and issubclass(kind, LaconicError):
            self.status = "failed"
        for record in self._begun:
            self._database.save_run(msgspec.structs.replace(record, status=self.status, finished=time.time()))
