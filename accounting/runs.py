"""What a ledger file remembers of a run, so that it can be told apart, shown and run again."""

from __future__ import annotations

from typing import Any

import msgspec

from ..errors import LedgerError
from .schema import RUN_COLUMNS

_json = msgspec.json.Encoder()
_shown = msgspec.json.Encoder(enc_hook=repr)


class RunRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One run of a flow. Values are plain data (what JSON holds); the flow is kept as its text."""

    run: str
    """The run's id."""
    flow: str = ""
    """The flow's name."""
    text: str = ""
    """The flow as YAML."""
    folder: str = ""
    """The folder that relative paths of the flow start from."""
    inputs: dict[str, Any] = msgspec.field(default_factory=dict)
    models: dict[str, Any] = msgspec.field(default_factory=dict)
    """Roles whose model the run was given instead of the flow's: role -> specification."""
    status: str = "running"
    """running, ok, failed, budget or cancelled; a run that was killed stays `running`."""
    started: float = 0.0
    """Unix time, seconds."""
    finished: float | None = None
    outputs: dict[str, Any] | None = None
    """Values that are no plain data are kept as the text that shows them."""
    budget: dict[str, Any] | None = None
    error: str = ""

    def row(self) -> tuple[Any, ...]:
        """The values in the order of `RUN_COLUMNS`. LedgerError if inputs are no plain data: they must come back."""
        try:
            inputs, models, budget = (_json.encode(part).decode() for part in (self.inputs, self.models, self.budget))
        except (TypeError, ValueError) as error:
            raise LedgerError(
                f"run {self.run} cannot be recorded: its inputs, models and budget must be plain data "
                f"(numbers, text, lists, mappings): {error}"
            ) from error
        outputs = None if self.outputs is None else _shown.encode(self.outputs).decode()
        values = {name: getattr(self, name) for name in RUN_COLUMNS}
        values.update(inputs=inputs, models=models, outputs=outputs, budget=None if self.budget is None else budget)
        return tuple(values.values())

    @classmethod
    def of_row(cls, row: tuple[Any, ...]) -> RunRecord:
        """The record whose values in the order of `RUN_COLUMNS` are given."""
        values = dict(zip(RUN_COLUMNS, row, strict=True))
        for name in ("inputs", "models", "outputs", "budget"):
            if values[name] is not None:
                values[name] = msgspec.json.decode(values[name])
        return cls(**values)
