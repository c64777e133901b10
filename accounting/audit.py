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
        """Lines for people: one a figure, and for what remains, where it can come from."""
        names = ("prompt", "cached", "completion")
        lines = []
        for name in names:
            server, ledger, rest = (getattr(side, name) for side in (self.server, self.ledger, self.residual))
            lines.append(f"{name}: server {server:,}, ledger {ledger:,}, residual {rest:+,}" if rest else
                         f"{name}: {server:,} on both sides")  # fmt: skip
        if self.closed:
            return [*lines, "closed: the ledger equals the server's counters to the token"]
        if min(self.server.prompt, self.server.cached, self.server.completion) < 0:
            lines.append("the server's counters went back: it was restarted in between, so they prove nothing")
        lines.extend(self._causes())
        return lines

    def _causes(self) -> list[str]:
        causes = []
        prompt, cached, completion = self.residual.prompt, self.residual.cached, self.residual.completion
        if self.unsettled:
            parts = ", ".join(f"{number:,} {status}" for status, number in sorted(self.unsettled.items()))
            causes.append(
                f"{parts}: calls whose server did not say what they used (in {', '.join(self.nodes)}); "
                "their tokens are in the server's counters, and in the ledger only as far as we could count them"
            )
        answered = {
            field: self.total.unknown.get(field, 0) for field in ("prompt", "completion") if self.total.unknown.get(field)
        }
        return causes
