"""Closing the ledger against the model server's own counters.

If every call went through the meter, and the server reported or we counted every token, the difference between two
readings of the server's counters equals the sum of the calls in between, to the token. Whatever remains is shown, with
what can account for it, never hidden.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec

from ..backends.backend import Counters
from .call import Call
from .causes import FIELDS, Cause, causes_of
from .totals import Total

UNSETTLED = ("aborted", "timeout", "failed")
"""Statuses of calls whose server may have computed tokens that it never reported."""


class Figures(msgspec.Struct, frozen=True):
    """Tokens as both sides know them."""

    prompt: int
    """All prompt tokens, cached ones included."""
    cached: int
    """Those of them taken from the server's cache."""
    completion: int

    def __sub__(self, other: Figures) -> Figures:
        return Figures(self.prompt - other.prompt, self.cached - other.cached, self.completion - other.completion)


class Reconciliation(msgspec.Struct, frozen=True, kw_only=True):
    """What the server counted, what the ledger holds, and what remains."""

    server: Figures
    ledger: Figures
    total: Total
    """The ledger's side in full, with its unknowns and estimates."""
    unsettled: dict[str, int]
    """Status -> how many aborted, timed out or failed calls have a usage that the server did not report."""
    cut: dict[str, Total] = msgspec.field(default_factory=dict)
    """The nodes these calls belong to -> what the ledger could count of them."""
    finished: int = 0
    """Calls of the ledger that the server certainly finished."""
    requests: int | None = None
    """Requests that the server finished, whoever sent them; None if it does not tell."""
    samples: int | None = None
    """Answers that these requests asked for."""
    busy: bool = False
    """Whether the server was still at work at one of the readings."""

    @property
    def residual(self) -> Figures:
        """Server minus ledger."""
        return self.server - self.ledger

    @property
    def closed(self) -> bool:
        """Whether server and ledger agree to the token: in prompt, cached and completion."""
        return self.residual == Figures(0, 0, 0)

    @property
    def explained(self) -> bool:
        """Whether they agree, or every residual has a named cause that accounts for it."""
        return not self.unexplained

    @property
    def unexplained(self) -> tuple[str, ...]:
        """The figures (`prompt`, `cached`, `completion`) with a residual for which no cause accounts."""
        differing = [name for name in FIELDS if getattr(self.residual, name)]
        return tuple(name for name in differing if not any(cause.accounts for cause in self.causes(name)))

    @property
    def restarted(self) -> bool:
        """Whether a counter went back, as it does when a server starts again: the readings then prove nothing."""
        server = self.server
        return min(server.prompt, server.cached, server.completion, self.requests or 0, self.samples or 0) < 0

    @property
    def others(self) -> int | None:
        """Requests finished that this ledger certainly did not send; None if the server does not count its requests."""
        if self.requests is None:
            return None
        return max(0, self.requests - self.finished - sum(self.unsettled.values()))

    def causes(self, name: str) -> list[Cause]:
        """Where the residual of a figure (`prompt`, `cached`, `completion`) can come from; none if there is none."""
        return causes_of(self, name)

    def explain(self) -> list[str]:
        """Lines for people: one a figure, each residual followed by where it can come from."""
        lines = []
        for name in FIELDS:
            server, ledger, rest = (getattr(side, name) for side in (self.server, self.ledger, self.residual))
            if rest:
                lines.append(f"{name}: server {server:,}, ledger {ledger:,}, residual {rest:+,}")
                lines.extend(f"  {cause.text}" for cause in self.causes(name))
            else:
                lines.append(f"{name}: {server:,} in the server's counters and in the ledger")
        if self.closed:
            lines.append("closed: the ledger equals the server's counters to the token")
        return lines


def reconcile(calls: Sequence[Call], before: Counters, after: Counters, *, busy: bool = False) -> Reconciliation:
    """Hold `calls`, all those sent to one server between two readings of its counters, against the difference.

    `busy`: whether the server was at work at one of the readings, so that it counts what it began before the first
    and lacks what it had not finished at the second.
    """
    moved = after.since(before)
    total = Total.of(calls)
    cut: dict[str, list[Call]] = {}
    statuses: Counter[str] = Counter()
    finished = 0
    for call in calls:
        if _unsettled(call):
            cut.setdefault(call.node or "(no node)", []).append(call)
            statuses[call.status] += 1
        elif call.sent and (call.usage.prompt, call.usage.completion) != (0, 0):
            finished += 1
    return Reconciliation(
        server=Figures(moved.prompt, moved.cached, moved.generated),
        ledger=Figures(total.prompt, total.cache_read, total.completion),
        total=total,
        unsettled=dict(statuses),
        cut={node: Total.of(of_node) for node, of_node in cut.items()},
        finished=finished,
        requests=moved.requests,
        samples=moved.samples,
        busy=busy,
    )


def _unsettled(call: Call) -> bool:
    """Whether the call was cut short and not known to have used nothing."""
    usage = call.usage
    cut = call.status in UNSETTLED or call.finish_reason == "cut"
    reported = usage.source == "server" and usage.prompt is not None and usage.completion is not None
    return cut and not reported and (usage.prompt, usage.completion) != (0, 0)
