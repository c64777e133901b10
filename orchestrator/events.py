"""What a run tells while it goes on. The command line and notebooks draw from these."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from ..accounting.call import Call


class NodeStarted(msgspec.Struct, frozen=True):
    """A node began."""

    run: str
    path: str
    kind: str
    item: str = ""


class NodeFinished(msgspec.Struct, frozen=True):
    """A node ended: ok, skipped, failed or cancelled."""

    run: str
    path: str
    kind: str
    status: str
    seconds: float
    error: str = ""
    item: str = ""
    notes: tuple[str, ...] = ()
    """What the node said of how it went, such as what a router decided."""


class CallCharged(msgspec.Struct, frozen=True):
    """A call was entered in the ledger."""

    call: Call


class TokenDelta(msgspec.Struct, frozen=True):
    """A piece of a streamed answer."""

    run: str
    path: str
    model: str
    text: str
    item: str = ""


class LimitChanged(msgspec.Struct, frozen=True):
    """Another number of calls at once is given to a server, for what it says of its own queue."""

    model: str
    """The name the server knows the model by."""
    limit: int
    running: int
    waiting: int
    cache_usage: float
    """Share of the server's cache that running requests hold: 0 to 1."""


class ItemsDecided(msgspec.Struct, frozen=True):
    """How far a node is that asks the same of many items, several to a prompt."""

    run: str
    path: str
    done: int
    """Items that have an answer, for all that is known so far, or will get none."""
    of: int
    """All its items."""
    votes: int
    """Answers that counted, of all rounds."""
    tokens: int
    """What was spent so far, as if no answer had been reused; attempts that failed are not in it."""
    single: int | None
    """About what the items in `done` would have taken in prompts of their own; None where that cannot be told."""
    item: str = ""


Event = NodeStarted | NodeFinished | CallCharged | TokenDelta | LimitChanged | ItemsDecided
OnEvent = Callable[[Event], None]
"""Called in the run's own event loop for each event, in order; it should return at once."""
