"""The ledger: every call of every run, in the order of their end, append-only.

`append` is the only way in and the meter the only caller, so the ledger is complete by construction. It lives in memory
and, if it is given a `Database`, in a SQLite file as well, written by a thread of its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from operator import attrgetter
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal, overload

import msgspec

from ..errors import LedgerError
from .call import ANSWERED, Call, Discard, DiscardCall, is_under
from .totals import Total

if TYPE_CHECKING:
    import pandas

    from ..backends.backend import Counters
    from .database import Database
    from .prices import Price
    from .readings import Reading
    from .reconciliation import Reconciliation
    from .views import View

Key = Literal[
    "run", "node", "item", "agent", "model", "served", "backend", "purpose", "status", "source", "finish_reason"
]
"""What calls can be grouped and filtered by. `source` is where the usage comes from (server, counted, estimated)."""

KEYS: dict[str, Callable[[Call], str]] = {
    "run": attrgetter("run"),
    "node": attrgetter("node"),
    "item": attrgetter("item"),
    "agent": attrgetter("agent"),
    "model": attrgetter("model"),
    "served": attrgetter("served"),
    "backend": attrgetter("backend"),
    "purpose": attrgetter("purpose"),
    "status": attrgetter("status"),
    "source": attrgetter("usage.source"),
    "finish_reason": attrgetter("finish_reason"),
}


class Ledger:
    """Calls, and what they add up to.

    Filters (`total(purpose="plan")`, `by("node", status=("failed", "timeout"))`) take one value or several;
    `under="answer"` takes a node with everything below it (`answer`, `answer/plan`, `answer[3]`, ...).
    `prices` gives costs by role or model name.
    """

    def __init__(self, database: Database | None = None, prices: Mapping[str, Price] | None = None) -> None:
        self.database = database
        self.prices = prices
        self._calls: list[Call] = []
        self._runs: dict[str, list[Call]] = {}
        self._write = None if database is None else database.write_call

    @classmethod
    def load(cls, path: str | PathLike[str], run: str | None = None) -> Ledger:
        """Read a ledger file, or one run of it, into memory; the file is only read. Raises LedgerError."""
        from .database import read_calls

        ledger = cls()
        ledger._extend(read_calls(path, run))
        return ledger

    def append(self, call: Call) -> None:
        """Enter one call. The only way in."""
        self._calls.append(call)
        try:
            self._runs[call.run].append(call)
        except KeyError:
            self._runs[call.run] = [call]
        if self._write is not None:
            self._write(call)

    def discard(self, *, run: str, item: str, node: str) -> None:
        """Enter that the answers of a node, and of all below it, were not used: those calls become `discarded`.

        Their tokens stay as they are. Whether it was used is all that can be known of a call no sooner than after its
        end.
        """
        word = Discard(run, item, node, time.time())
        for call in filter(word.meant, self._runs.get(run, ())):
            msgspec.structs.force_setattr(call, "status", "discarded")
        if self.database is not None:
            self.database.write_discard(word)

    def discard_call(self, call: Call, tokens: int | None = None) -> None:
        """Enter the same of one call that is in the ledger, or of so many of its `tokens`, which are `unused` then."""
        if tokens is not None:
            msgspec.structs.force_setattr(call, "unused", tokens)
        elif call.status in ANSWERED:
            msgspec.structs.force_setattr(call, "status", "discarded")
        if self.database is not None:
            self.database.write_discard(DiscardCall(call.run, call.request_hash, call.started, tokens))

    def latest(self, *, run: str, item: str, node: str) -> Call | None:
        """The call of a node that ended last."""
        calls = reversed(self._runs.get(run, ()))
        return next((call for call in calls if call.node == node and call.item == item), None)

    @property
    def calls(self) -> Sequence[Call]:
        """The calls of this process (or of the file loaded), in the order they ended. Not to be changed."""
        return self._calls

    def select(self, **filters: str | Collection[str]) -> Ledger:
        """A ledger of some of the calls, in memory, with the same prices."""
        ledger = Ledger(prices=self.prices)
        ledger._extend(self._matching(filters))
        return ledger

    def total(self, **filters: str | Collection[str]) -> Total:
        """What the calls, or those that match, used together."""
        return Total.of(self._matching(filters), self.prices)

    @overload
    def by(self, key: Key, /, **filters: str | Collection[str]) -> dict[str, Total]: ...
    @overload
    def by(
        self, key: Key, second: Key, /, *keys: Key, **filters: str | Collection[str]
    ) -> dict[tuple[str, ...], Total]: ...
    def by(self, key: Key, /, *keys: Key, **filters: str | Collection[str]) -> Any:
        """Totals of groups, in the order of their first call; with several keys the groups are named by tuples."""
        getters = [_getter(name) for name in (key, *keys)]
        groups: dict[Any, list[Call]] = {}
        for call in self._matching(filters):
            name = getters[0](call) if len(getters) == 1 else tuple([getter(call) for getter in getters])
            groups.setdefault(name, []).append(call)
        return {name: Total.of(calls, self.prices) for name, calls in groups.items()}

    def frame(self) -> pandas.DataFrame:
        """One row a call, flat columns as in the file (`laconic.accounting.database`); unknown figures are `<NA>`."""
        from .frames import frame

        return frame(self._calls)

    def view(self, name: str, **filters: str | Collection[str]) -> View:
        """The calls summed the way `name` sums them (`published:rewoo`, `honest`), beside the honest sum."""
        from .views import view

        return view(name, self._matching(filters), self.prices)

    def began_within(self, begin: float, end: float) -> Sequence[Call]:
        """The calls that began between two moments (Unix time), those that other processes wrote to its file too."""
        if self.database is not None:
            return self.database.calls_within(begin, end)
        return [call for call in self._calls if begin <= call.started <= end]

    @overload
    def reconcile(self, before: Counters, after: Counters, **filters: str | Collection[str]) -> Reconciliation: ...
    @overload
    def reconcile(self, before: Reading, after: Reading) -> Reconciliation: ...
    def reconcile(self, before: Any, after: Any, **filters: str | Collection[str]) -> Reconciliation:
        """Close the calls against a server's own counters, before and after them.

        Given counters, all the calls; filter to those of that server. Given readings, those that began between them and
        are of their model and kind of backend, whatever run they belong to.
        """
        from .proofs import calls_around, reconcile_readings
        from .readings import Reading
        from .reconciliation import reconcile

        if isinstance(before, Reading):
            return reconcile_readings(calls_around(self, (before, after)), [before], [after])
        return reconcile(self._matching(filters), before, after)

    def flush(self) -> None:
        """Return when every call so far is committed to the file. Raises LedgerError if that cannot be done."""
        if self.database is not None:
            self.database.flush()

    def close(self) -> None:
        """Flush and close the file. Raises LedgerError saying how many calls could not be written."""
        if self.database is not None:
            self.database.close()

    def _extend(self, calls: Iterable[Call]) -> None:
        for call in calls:
            self._calls.append(call)
            self._runs.setdefault(call.run, []).append(call)

    def _matching(self, filters: Mapping[str, str | Collection[str]]) -> Sequence[Call]:
        rest = dict(filters)
        calls: Sequence[Call] = self._calls
        run = rest.get("run")
        if isinstance(run, str):
            calls = self._runs.get(run, [])
            del rest["run"]
        for key, wanted in rest.items():
            if key == "under":
                if not isinstance(wanted, str):
                    raise LedgerError("`under` takes one node path, such as under='answer'")
                calls = [call for call in calls if is_under(call.node, wanted)]
                continue
            getter = _getter(key)
            values = {wanted} if isinstance(wanted, str) else set(wanted)
            calls = [call for call in calls if getter(call) in values]
        return calls


def _getter(key: str) -> Callable[[Call], str]:
    try:
        return KEYS[key]
    except KeyError:
        raise LedgerError(f"the ledger has no {key!r} to filter or group by; it has {', '.join(KEYS)}") from None
