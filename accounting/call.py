"""One physical attempt at a model call, as the ledger keeps it."""

from __future__ import annotations

from typing import Literal

import msgspec

from ..backends.usage import NOTHING, Usage

Status = Literal["ok", "failed", "timeout", "aborted", "discarded", "replayed"]
"""`ok`: answered. `failed`: the backend raised. `timeout`: no answer in time. `aborted`: cancelled on the way.
`discarded`: answered, but the answer was not used. `replayed`: not sent at all, the answer was there already."""
ANSWERED: frozenset[Status] = frozenset({"ok", "replayed"})
"""The statuses of calls whose answers were used."""


class Discard(msgspec.Struct, frozen=True, gc=False):
    """Word that what `node` and all below it were answered so far, in one item of a run, was not used."""

    run: str
    item: str
    """Empty: whatever the item; the elements of a `for_each` below the node are items of their own."""
    node: str
    at: float
    """Unix time, seconds: what began later is not meant."""

    def meant(self, call: Call) -> bool:
        """Whether it is about this call, which becomes `discarded`."""
        return (
            call.status in ANSWERED
            and self.item in ("", call.item)
            and call.started <= self.at
            and is_under(call.node, self.node)
        )


class DiscardCall(msgspec.Struct, frozen=True, gc=False):
    """Word that the answer of one call, or a part of its tokens, was not used."""

    run: str
    request: str
    """Its `request_hash`."""
    started: float
    tokens: int | None
    """So many of its generated tokens, and it stays what it is; None: the whole answer, and it becomes `discarded`."""


def is_under(node: str, path: str) -> bool:
    """Whether `node` is the node at `path` or one below it (`answer`, `answer/plan`, `answer[3]`)."""
    return node.startswith(path) and node[len(path) : len(path) + 1] in ("", "/", "[")


class Owner(msgspec.Struct, frozen=True, gc=False):
    """Whose tokens a call's tokens are."""

    run: str
    node: str = ""
    """Path of the node in the run's graph, such as `answer/plan`, `answer/E2` or `each[3]`."""
    item: str = ""
    """Which item of a data set or `for_each`, if any."""
    agent: str = ""


class Call(Owner, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One attempt, and whose it is. Tokens in `usage` were really spent; those in `avoided` were not.

    The four fields of `Owner` come first and may be given by position.
    """

    model: str
    """The role in the flow, such as `large`."""
    served: str = ""
    """The name of the model that answered, such as `qwen2.5-coder-1.5b-instruct`."""
    backend: str = ""
    purpose: str = "answer"
    """What the call was for: answer, plan, act, solve, route, vote, judge, repair, compress, message, tool, ..."""
    attempt: int = 1
    """1 for the first attempt of a call, 2 for its first retry; 0 for an answer that was not sent for."""
    status: Status = "ok"
    usage: Usage = NOTHING
    avoided: Usage | None = None
    """What a replayed call would have used."""
    seconds: float = 0.0
    first_token_seconds: float | None = None
    started: float = 0.0
    """Unix time, seconds."""
    finish_reason: str = ""
    error: str = ""
    request_hash: str = ""
    """The key of the request in the store."""
    instruction: int | None = None
    """Prompt tokens that are the same in every call of its batch: instruction, examples, frame. Known only where they
    were counted beforehand."""
    unused: int | None = None
    """Generated tokens that are not part of what came of the answer: another model was asked for them instead. None:
    nobody said so."""

    @property
    def sent(self) -> bool:
        """Whether a model was asked: the answer was not there already, be it used or discarded."""
        return self.status != "replayed" and self.avoided is None
