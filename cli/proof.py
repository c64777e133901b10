"""The proof of a ledger: its sums beside the model server's own counters."""

from __future__ import annotations

import sys

from ..accounting.reconciliation import Reconciliation

Row = tuple[str, int, int, str]
"""A figure's name, its residual, the server's tokens, and the ledger's as they are shown."""


def show_proof(proof: Reconciliation) -> bool:
    """The figures of both sides aloud, and where every residual comes from; whether nothing is unexplained."""
    for what, rest, theirs, ours in _rows(proof):
        verdict = f"residual {rest:+,}" if rest else "equal"
        _tell(f"  {what:<17} server {theirs:>9,}   ledger {ours:>9}   {verdict}")
    if proof.closed:
        _tell("they are equal, to the token")
        return True
    for line in dict.fromkeys(
        cause.text for name in ("prompt", "cached", "completion") for cause in proof.causes(name)
    ):
        _tell(f"  {line}")
    unexplained = proof.unexplained
    _tell(f"NOT explained: {', '.join(unexplained)}" if unexplained else "the residual is explained")
    return not unexplained


def _rows(proof: Reconciliation) -> list[Row]:
    server, ledger, rest, total = proof.server, proof.ledger, proof.residual, proof.total
    completion = ("completion", rest.completion, server.completion, total.show("completion"))
    if total.at_least("cache_read") or total.at_least("prompt"):
        # What was computed is the prompt without what was cached, and that is not known of every call.
        return [
            ("prompt", rest.prompt, server.prompt, total.show("prompt")),
            ("of it cached", rest.cached, server.cached, total.show("cache_read")),
            completion,
        ]
    computed = ledger.prompt - ledger.cached
    return [
        ("prompt, computed", rest.prompt - rest.cached, server.prompt - server.cached, f"{computed:,}"),
        ("prompt, cached", rest.cached, server.cached, f"{ledger.cached:,}"),
        completion,
    ]


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
