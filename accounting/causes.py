"""Where a residual between a server's counters and the ledger comes from.

A cause that accounts for a residual was seen: calls that were cut short, requests of others, a server still at work.
The others say only where to look, and leave the residual unexplained.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from .totals import Total

if TYPE_CHECKING:
    from .reconciliation import Reconciliation

FIELDS = {"prompt": "prompt", "cached": "cache_read", "completion": "completion"}
"""The figures, as a `Total` calls them."""
NAMED = 8
"""Most nodes that are named in a line."""


class Cause(msgspec.Struct, frozen=True):
    """One possible source of a residual, in words."""

    text: str
    accounts: bool = False
    """Whether it was seen, and is of the size that is needed."""


def causes_of(proof: Reconciliation, name: str) -> list[Cause]:
    """The causes of a figure's residual, those that account for it first; none if there is no residual."""
    rest: int = getattr(proof.residual, name)
    if not rest:
        return []
    if proof.restarted:
        text = "restarted: the server's counters went back in between, so this proves nothing"
        return [Cause(text, accounts=rest > 0)]
    causes = [_cut_short(proof, name, rest), _unknown(proof, name, rest), _at_work(proof, rest), *_others(proof, rest)]
    if proof.total.counted or proof.total.estimated:
        causes.append(
            Cause(
                f"not reported: the tokens of {proof.total.counted:,} calls were counted here and of "
                f"{proof.total.estimated:,} estimated, which may differ from what the server counted"
            )
        )
    if rest < 0:
        causes.append(
            Cause("the ledger holds calls that this server did not answer, or its counters were read too early")
        )
    return sorted((cause for cause in causes if cause is not None), key=lambda cause: not cause.accounts)


def _cut_short(proof: Reconciliation, name: str, rest: int) -> Cause | None:
    """A server may have spent more on a call that was cut short than was seen here, or count nothing of it at all."""
    if not proof.unsettled:
        return None
    counted = sum(proof.cut.values(), Total())
    calls = ", ".join(f"{number:,} {status}" for status, number in sorted(proof.unsettled.items()))
    return Cause(
        f"cut short: {calls} (in {_nodes(proof.cut)}); the server did not report what they used, and the ledger holds "
        f"of it what could be counted here: prompt {counted.show('prompt')}, completion {counted.show('completion')}",
        accounts=rest >= -getattr(counted, FIELDS[name]),
    )


def _nodes(cut: dict[str, Total]) -> str:
    named = [node if of_node.calls == 1 else f"{node} {of_node.calls:,} times" for node, of_node in cut.items()]
    more = [f"{len(named) - NAMED:,} more nodes"] if len(named) > NAMED else []
    return ", ".join([*named[:NAMED], *more])


def _unknown(proof: Reconciliation, name: str, rest: int) -> Cause | None:
    unknown = proof.total.unknown.get(FIELDS[name], 0)
    if rest < 0 or not unknown:
        return None
    # Of a call that was cut short more than this figure may be unknown; that is said by `_cut_short`.
    settled = unknown - sum(of_node.unknown.get(FIELDS[name], 0) for of_node in proof.cut.values())
    return Cause(
        f"unknown: of {unknown:,} calls the ledger does not know the {name} tokens, as no one reported them",
        accounts=settled > 0,
    )


def _at_work(proof: Reconciliation, rest: int) -> Cause | None:
    if not proof.busy:
        return None
    return Cause("busy: the server was still at work on something when it was read", accounts=rest > 0)


def _others(proof: Reconciliation, rest: int) -> list[Cause]:
    """What the server's count of requests says of those who do not write to this ledger."""
    if proof.requests is None or proof.others is None:
        text = "others: calls that did not go through this ledger (other clients, runs or warm-up requests)"
        return [Cause(f"{text}; the server does not count its requests")] if rest > 0 else []
    if proof.requests < proof.finished:
        return [
            Cause(
                f"elsewhere: the server finished {proof.requests:,} requests, and the ledger holds {proof.finished:,} "
                "that were answered: some were answered by another server"
            )
        ]
    causes = []
    if proof.others:
        least = "at least " if proof.unsettled else ""
        text = f"other clients: {least}{_counted(proof.others, 'request')} that this ledger did not send"
        causes.append(Cause(text, accounts=rest > 0))
    elif rest > 0:
        text = "others: no other client's request was finished; one that its client broke off would leave no trace here"
        causes.append(Cause(text))
    further = 0 if proof.samples is None else proof.samples - proof.requests
    if further > 0:
        text = f"several answers: requests with `n` above 1 asked for {_counted(further, 'further answer')}"
        causes.append(Cause(f"{text}, whose prompts the server counts again", accounts=rest > 0))
    return causes


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"
