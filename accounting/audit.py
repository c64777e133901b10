"""Closing the ledger against the model server's own counters.

If every call went through the meter, and the server reported or we counted every token, the difference between two
readings of the server's counters equals the sum of the calls in between, to the token. Whatever remains is shown, with
the calls that can explain it, never hidden.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec

from ..backends.backend import Counters
from .call import Call
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


class Reconciliation(msgspec.Struct, frozen=True, kw_only=True):
    """What the server counted, what the ledger holds, and what remains (server minus ledger)."""

    server: Figures
    ledger: Figures
    residual: Figures
    total: Total
    """The ledger's side in full, with its unknowns and estimates."""
    unsettled: dict[str, int]
    """Status -> how many aborted, timed out or failed calls have a usage that the server did not report."""
    nodes: tuple[str, ...] = ()
    """The nodes these calls belong to."""

    @property
    def closed(self) -> bool:
        """Whether server and ledger agree to the token: in prompt, cached and completion."""
        return self.residual == Figures(0, 0, 0)

    def explain(self) -> list[str]:
        """Lines for people: one a figure, each residual followed by where it can come from."""
        lines = []
        for name in ("prompt", "cached", "completion"):
            server, ledger, rest = (getattr(side, name) for side in (self.server, self.ledger, self.residual))
            if rest:
                lines.append(f"{name}: server {server:,}, ledger {ledger:,}, residual {rest:+,}")
                lines.extend(f"  {cause}" for cause in self._causes(name, rest))
            else:
                lines.append(f"{name}: {server:,} in the server's counters and in the ledger")
        if self.closed:
            lines.append("closed: the ledger equals the server's counters to the token")
        return lines

    def _causes(self, name: str, rest: int) -> list[str]:
        if getattr(self.server, name) < 0:
            return ["the server's counter went back: the server was restarted in between, so this proves nothing"]
        causes = []
        unknown = self.total.unknown.get("cache_read" if name == "cached" else name, 0)
        if self.unsettled:
            calls = ", ".join(f"{number:,} {status}" for status, number in sorted(self.unsettled.items()))
            causes.append(
                f"cut short: {calls} (in {', '.join(self.nodes)}); the server did not report what they used, and the "
                "ledger holds of it only what could be counted here"
            )
        if rest > 0 and unknown:
            causes.append(
                f"unknown: of {unknown:,} calls the ledger does not know the {name} tokens, as no one reported them"
            )
        if self.total.counted or self.total.estimated:
            causes.append(
                f"not reported: the tokens of {self.total.counted:,} calls were counted here and of "
                f"{self.total.estimated:,} estimated, which may differ from what the server counted"
            )
        if rest > 0:
            causes.append("others: calls that did not go through this ledger (other clients, runs or warm-up requests)")
        else:
            causes.append("the ledger holds calls that this server did not answer, or its counters were read too early")
        return causes


def reconcile(calls: Sequence[Call], before: Counters, after: Counters) -> Reconciliation:
    """Hold `calls`, all those sent to one server between two readings of its counters, against the difference."""
    moved = after.since(before)
    total = Total.of(calls)
    server = Figures(moved.prompt, moved.cached, moved.generated)
    ledger = Figures(total.prompt, total.cache_read, total.completion)
    unsettled = [call for call in calls if _unsettled(call)]
    return Reconciliation(
        server=server,
        ledger=ledger,
        residual=Figures(
            server.prompt - ledger.prompt, server.cached - ledger.cached, server.completion - ledger.completion
        ),
        total=total,
        unsettled=dict(Counter(call.status for call in unsettled)),
        nodes=tuple(dict.fromkeys(call.node or "(no node)" for call in unsettled)),
    )


def _unsettled(call: Call) -> bool:
    """Whether the call was cut short and not known to have used nothing."""
    usage = call.usage
    cut = call.status in UNSETTLED or call.finish_reason == "cut"
    reported = usage.source == "server" and usage.prompt is not None and usage.completion is not None
    return cut and not reported and (usage.prompt, usage.completion) != (0, 0)
