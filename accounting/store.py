"""Answers by what determines them: response cache, memory of a resumed run, and source of a replay, all in one.

The key of a request is a hash of everything in it. Whether an answer may be used again is the caller's decision. Beside
the answers stand findings: what somebody measured once and need not measure again.
"""

from __future__ import annotations

from collections import OrderedDict
from hashlib import blake2b
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ..backends.request import Completion, Request
from ..errors import LedgerError
from .call import Owner
from .opening import plainly

if TYPE_CHECKING:
    from .database import Database

KEPT = 4096
"""Answers kept in memory beside a database."""

_canonical = msgspec.json.Encoder(order="deterministic", enc_hook=repr)


class _Raw(msgspec.Struct, frozen=True):
    key: str
    request: msgspec.Raw
    completion: msgspec.Raw


class Recorded(msgspec.Struct, frozen=True):
    """One line of a recording: an answer and what it answered."""

    key: str
    request: Request
    completion: Completion


_line = msgspec.json.Encoder(enc_hook=repr)
_recorded = msgspec.json.Decoder(Recorded)


def request_key(request: Request, owner: Owner | str = "") -> str:
    """32 hexadecimal digits that stand for `request`; equal requests have equal keys, in any process and at any time.

    Where chance decides the answer (a temperature and no seed), who asks is a part of what is asked: the node, item and
    agent of `owner` (or the path, if a str). Two nodes, or two votes that differ in `sample`, then draw for themselves.
    """
    if type(request.temperature) is int or type(request.top_p) is int:  # 0 and 0.0 are the same temperature
        top_p = None if request.top_p is None else float(request.top_p)
        request = msgspec.structs.replace(request, temperature=float(request.temperature), top_p=top_p)
    try:
        text = _canonical.encode(request)
    except UnicodeEncodeError:  # half of a surrogate pair, as broken documents have
        text = repr(request).encode("utf-8", "surrogatepass")
    digest = blake2b(text, digest_size=16)
    if not request.deterministic:
        path = owner if isinstance(owner, str) else "\0".join((owner.node, owner.item, owner.agent))
        digest.update(b"\0" + path.encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


class Store:
    """Completions and findings by key: in memory and, with a `Database`, in its file. Without one, all stays in memory.

    `ReplayBackend(store, model, key=request_key)` answers from it.
    """

    def __init__(self, database: Database | None = None) -> None:
        self.database = database
        self._kept: OrderedDict[str, tuple[int, Request, Completion]] = OrderedDict()
        self._findings: dict[str, str] = {}

    def get(self, key: str) -> Completion | None:
        """The answer kept under `key`, or None. Raises LedgerError if the file cannot be read."""
        kept = self._kept.get(key)
        if kept is not None:
            self._kept.move_to_end(key)
            return kept[2]
        return None if self.database is None else self.database.response(key)

    def asked(self, key: str) -> Request | None:
        """The request whose answer is kept under `key`, or None. Raises LedgerError if the file cannot be read."""
        kept = self._kept.get(key)
        if kept is not None:
            return kept[1]
        return None if self.database is None else self.database.request(key)

    def put(self, key: str, request: Request, completion: Completion) -> None:
        """Keep an answer; a later one under the same key takes its place."""
        database = self.database
        ticket = 0 if database is None else database.write_response(key, request, completion)
        self._kept[key] = (ticket, request, completion)
        self._kept.move_to_end(key)
        while database is not None and len(self._kept) > KEPT:
            oldest = next(iter(self._kept))
            if self._kept[oldest][0] > database.committed:
                break  # it is not in the file yet
            del self._kept[oldest]

    def remember(self, key: str, finding: str | bytes) -> None:
        """Keep what was found out, as JSON text, for this run and later ones; a later word under `key` replaces it."""
        text = finding if isinstance(finding, str) else finding.decode()
        self._findings[key] = text
        if self.database is not None:
            self.database.save_finding(key, text)

    def recall(self, key: str) -> str | None:
        """What is remembered under `key`, or None. Raises LedgerError if the file cannot be read."""
        known = self._findings.get(key)
        return known if known is not None or self.database is None else self.database.finding(key)

    def export(self, path: str | PathLike[str], run: str | None = None) -> int:
        """Write the answers to a JSONL file, one `{key, request, completion}` a line; returns how many there are.

        `run` takes only those that calls of that run got or reused, which needs a database. Raises LedgerError.
        """
        if self.database is not None:
            rows = self.database.responses(run)
            lines = [_line.encode(_Raw(key, *(msgspec.Raw(part.encode()) for part in parts))) for key, *parts in rows]
        elif run is not None:
            raise LedgerError(
                "a store without a database does not know which run an answer belongs to; export them all"
            )
        else:
            lines = [_line.encode(Recorded(key, kept[1], kept[2])) for key, kept in self._kept.items()]
        with plainly(Path(path), "written", "recording"):
            Path(path).write_bytes(b"".join(line + b"\n" for line in lines))
        return len(lines)

    @classmethod
    def load_jsonl(cls, path: str | PathLike[str], database: Database | None = None) -> Store:
        """A store of the answers in a file that `export` made. Raises LedgerError naming the line that does not fit."""
        store = cls(database)
        with plainly(Path(path), "read", "recording"):
            lines = Path(path).read_bytes().splitlines()
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                recorded = _recorded.decode(line)
            except msgspec.MsgspecError as error:
                raise LedgerError(
                    f"{path}, line {number}: not a recorded answer ({error}); a line is {{key, request, completion}}"
                ) from error
            store.put(recorded.key, recorded.request, recorded.completion)
        return store
