"""The proof of a ledger: its sums beside the model server's own counters."""

from __future__ import annotations

import sys

from ..accounting.audit import Figures
from ..accounting.ledger import Ledger
from ..backends.backend import Counters

FIGURES = ("prompt, computed", "prompt, cached", "completion")


def show_proof(ledger: Ledger, counted: tuple[Counters, Counters] | None) -> bool:
    """Hold the whole ledger against what the server counted before and after, aloud; whether nothing is unexplained.

    A call that we cut off ourselves is one whose tokens the server may or may not count: then its figures must lie
    between the ledger's without and with those calls.
    """
    if counted is None:
        _tell("\nthe server publishes no counters, so the ledger cannot be held against them")
        return True
    proof = ledger.reconcile(*counted)
    _tell("\nthe ledger of this whole demo, held against the server's own counters (tokens):")
    for what, theirs, ours in zip(FIGURES, _figures(proof.server), _figures(proof.ledger), strict=True):
        _tell(f"  {what:<17} server {theirs:>9,}   ledger {ours:>9,}   {'equal' if theirs == ours else 'DIFFERENT'}")
    if proof.closed:
        _tell("they are equal, to the token")
        return True
    for line in proof.explain():
        _tell(f"  {line}")
    if not ledger.total(status="aborted").calls:
        return False
    without = ledger.select(status=("ok", "failed", "timeout", "discarded", "replayed")).reconcile(*counted)
    sides = zip(_figures(without.ledger), _figures(proof.server), _figures(proof.ledger), strict=True)
    explained = all(least <= server <= most for least, server, most in sides)
    if explained:
        _tell("the difference lies within what was cut off when the time was up")
    return explained


def _figures(side: Figures) -> tuple[int, int, int]:
    return side.prompt - side.cached, side.cached, side.completion


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
