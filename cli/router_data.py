"""Where `laconic router` gets outcomes: outcomes as they are, labelled items, a comparison's rows, or the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError
from ..evals.data import Item
from ..evals.outcome_files import ItemFields, read_labelled, read_outcomes
from ..evals.outcome_rows import outcomes_of_rows
from ..evals.outcome_runs import outcomes_of_runs
from ..evals.routing_policies import Policy
from ..evals.rows import Row, read_rows
from ..evals.sql_data import read_sql_items
from ..routers.outcomes import Outcome
from .errors import say
from .job import DATA, inputs_of
from .options import pairs
from .storage import existing


@dataclass(frozen=True)
class Source:
    """The options that say where outcomes come from."""

    data: Path | None
    label: str | None
    text: str
    group: str
    features: tuple[str, ...]
    costs: str | None
    rows: Path | None
    from_runs: bool
    store: Path | None
    tiers: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """For messages and reports."""
        path = self.rows or self.data
        return path.name if path is not None else "the ledger"

    @property
    def fields(self) -> ItemFields:
        """What a router may see of an item."""
        return ItemFields(self.text, self.group, self.features)

    def outcomes(self) -> tuple[list[Outcome], list[Policy]]:
        """Read them, and what flows that are no tiers made of the same items.

        Raises InputError for options that do not go together, and for what is wrong in the files.
        """
        if self.rows is not None and self.data is not None and not self.from_runs:
            return self.of_rows(read_rows(self.rows), read_sql_items(self.data).items)
        return self._alone(), []

    def of_rows(self, rows: Sequence[Row], items: Sequence[Item]) -> tuple[list[Outcome], list[Policy]]:
        """The outcomes that a comparison's rows are. Raises InputError."""
        found = outcomes_of_rows(rows, items, self.fields, self.tiers)
        if found.left_out:
            say(f"{found.left_out} items have no answer of every flow, and are left out")
        return found.outcomes, found.others

    def _alone(self) -> list[Outcome]:
        if self.from_runs:
            return self._of_ledger()
        if self.data is None:
            raise InputError("name the outcomes with --data FILE, or learn from the ledger with --from-runs")
        if self.label is None:
            if self.group or self.features or self.text != "question":
                raise InputError(
                    "outcomes have `text`, `group` and `features` of their own: --text, --group and --feature go with "
                    "--label, --rows, --from-runs or flows"
                )
            return read_outcomes(self.data)
        if self.costs is None:
            raise InputError(
                "--label needs --costs CHEAPEST=TOKENS,...,DEAREST=TOKENS: the tiers in their order, and what they use"
            )
        return read_labelled(self.data, label=self.label, fields=self.fields, costs=costs(self.costs))

    def _of_ledger(self) -> list[Outcome]:
        if self.data is not None or self.rows is not None or self.label is not None:
            raise InputError("--from-runs reads the ledger; leave --data, --rows and --label out")
        known = costs(self.costs) if self.costs is not None else {}
        with existing(self.store) as database:
            found = outcomes_of_runs(
                ((record, inputs_of(record), record.inputs.get(DATA)) for record in reversed(database.runs())),
                database.read_calls,
                self.fields,
                known,
            )
        say(f"{len(found.outcomes)} items were answered by the cascade {found.cascade} ({', '.join(found.tiers)})")
        for why, number in found.left_out.items():
            say(f"{number} items are left out: {why}")
        return found.outcomes


def costs(text: str) -> dict[str, float]:
    """`basic=400,advanced=1600` as a mapping. Raises InputError."""
    found = {}
    for name, value in pairs(text.split(","), "--costs").items():
        try:
            found[name] = float(value)
        except ValueError:
            raise InputError(f"--costs {name}={value}: the tokens must be a number") from None
        if not 0 <= found[name] < float("inf"):
            raise InputError(f"--costs {name}={value}: the tokens must be a number that is not negative")
    return found
