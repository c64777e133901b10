"""The tables of a ledger file, for whoever reads one with plain SQL.

A ledger file is a SQLite database in WAL mode; any SQLite client may read it while a run writes it.

`meta`      key, value. `version` is the version of this schema, `made_by` the Laconic that made the file.

`calls`     one row an attempt, in the order they ended (`id`); see `laconic.accounting.Call`.
            run, node, item, agent          whose tokens; node is a path such as `answer/E2`
            model, served, backend          role in the flow, name of the model, kind of backend
            purpose, attempt, status        what for; 1 for the first attempt, 0 for not sent; ok, failed, timeout,
                                            aborted, discarded (`ok` or `replayed` until it is known that the
                                            answer was not used), replayed
            prompt, completion              tokens really spent; prompt includes cached, completion includes reasoning
            cache_read, cache_write, reasoning   parts of these; NULL in any of the five: the server did not say
            source                          server, counted (by our tokenizer) or estimated
            avoided_...                     the same figures for what a replayed call would have used; avoided_source is
                                            NULL where nothing was avoided
            seconds, first_token_seconds    duration; time to the first token of a stream
            started                         Unix time
            finish_reason, error            how the answer ended; why there is none
            request_hash                    key in `responses`
            instruction                     prompt tokens that are the same in every call of its batch; NULL: nobody
                                            counted them. Files of before have no such column until they are written
                                            again.
            unused                          generated tokens that another model was asked for instead; NULL: nobody said
                                            so. The same holds for files of before.

`responses` key, request and completion (JSON), created (Unix time): answers that a later run may use again.

`runs`      run, flow, text (the flow as YAML), folder (what its relative paths start from), inputs, models, outputs and
            budget (JSON), status, error, started and finished (Unix time); see `laconic.accounting.RunRecord`.

`readings`  what model servers had counted around a run, in tokens; see `laconic.accounting.Reading`.
            run                             whose first call came after the reading, or last call before it
            server, served, backend         address, name of the model, kind of backend
            moment, taken                   before or after; Unix time
            computed, cached, generated     totals of that server for that model since it was started
            requests, aborted, samples      requests it finished, of them broken off by itself, answers they asked for;
                                            NULL where it does not tell
            busy                            1 if it was still at work
            Files of before there were readings have no such table until they are written again.

`findings`  key, finding (JSON), created (Unix time): what was found out, of a model and a task, say, so that it need
            not be measured again; see `laconic.accounting.Store.remember`. Files of before may lack this table, too.

    SELECT node, purpose, SUM(prompt), SUM(completion) FROM calls WHERE run = 'r1' GROUP BY node, purpose;
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Any

from ..backends.usage import Usage
from .call import Call

VERSION = 1
"""Of this schema. A file of another version is refused and left alone."""

CALL_COLUMNS = (
    "run",
    "node",
    "item",
    "agent",
    "model",
    "served",
    "backend",
    "purpose",
    "attempt",
    "status",
    "prompt",
    "completion",
    "cache_read",
    "cache_write",
    "reasoning",
    "source",
    "seconds",
    "first_token_seconds",
    "started",
    "finish_reason",
    "error",
    "request_hash",
    "instruction",
    "unused",
    "avoided_prompt",
    "avoided_completion",
    "avoided_cache_read",
    "avoided_cache_write",
    "avoided_reasoning",
    "avoided_source",
)

RUN_COLUMNS = (
    "run",
    "flow",
    "text",
    "folder",
    "inputs",
    "models",
    "status",
    "started",
    "finished",
    "outputs",
    "budget",
    "error",
)

READING_COLUMNS = (
    "run",
    "server",
    "served",
    "backend",
    "moment",
    "taken",
    "computed",
    "cached",
    "generated",
    "requests",
    "aborted",
    "samples",
    "busy",
)

RESPONSE_COLUMNS = ("key", "request", "completion", "created")

FINDING_COLUMNS = ("key", "finding", "created")

ADDED_COLUMNS = {"instruction": "INTEGER", "unused": "INTEGER"}
"""Columns of `calls` that came later, with their types. A file is given them when it is opened for writing; until then
it is read as if they were NULL."""

TABLES = (
    "CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    """CREATE TABLE IF NOT EXISTS calls (
        id INTEGER PRIMARY KEY,
        run TEXT NOT NULL, node TEXT NOT NULL, item TEXT NOT NULL, agent TEXT NOT NULL,
        model TEXT NOT NULL, served TEXT NOT NULL, backend TEXT NOT NULL,
        purpose TEXT NOT NULL, attempt INTEGER NOT NULL, status TEXT NOT NULL,
        prompt INTEGER, completion INTEGER, cache_read INTEGER, cache_write INTEGER, reasoning INTEGER,
        source TEXT NOT NULL, seconds REAL NOT NULL, first_token_seconds REAL, started REAL NOT NULL,
        finish_reason TEXT NOT NULL, error TEXT NOT NULL, request_hash TEXT NOT NULL,
        avoided_prompt INTEGER, avoided_completion INTEGER, avoided_cache_read INTEGER, avoided_cache_write INTEGER,
        avoided_reasoning INTEGER, avoided_source TEXT, instruction INTEGER, unused INTEGER
    )""",
    "CREATE INDEX IF NOT EXISTS calls_of_run ON calls (run)",
    "CREATE INDEX IF NOT EXISTS calls_of_request ON calls (request_hash)",
    """CREATE TABLE IF NOT EXISTS responses (
        key TEXT PRIMARY KEY, request TEXT NOT NULL, completion TEXT NOT NULL, created REAL NOT NULL
    )""",
    """CREATE TABLE IF NOT EXISTS runs (
        run TEXT PRIMARY KEY, flow TEXT NOT NULL, text TEXT NOT NULL, folder TEXT NOT NULL, inputs TEXT NOT NULL,
        models TEXT NOT NULL, status TEXT NOT NULL, started REAL NOT NULL, finished REAL, outputs TEXT, budget TEXT,
        error TEXT NOT NULL
    )""",
    """CREATE TABLE IF NOT EXISTS readings (
        id INTEGER PRIMARY KEY,
        run TEXT NOT NULL, server TEXT NOT NULL, served TEXT NOT NULL, backend TEXT NOT NULL,
        moment TEXT NOT NULL, taken REAL NOT NULL,
        computed INTEGER NOT NULL, cached INTEGER NOT NULL, generated INTEGER NOT NULL,
        requests INTEGER, aborted INTEGER, samples INTEGER, busy INTEGER NOT NULL
    )""",
    "CREATE TABLE IF NOT EXISTS findings (key TEXT PRIMARY KEY, finding TEXT NOT NULL, created REAL NOT NULL)",
)

_plain = attrgetter(
    *("run", "node", "item", "agent", "model", "served", "backend", "purpose", "attempt", "status"),
    *("usage.prompt", "usage.completion", "usage.cache_read", "usage.cache_write", "usage.reasoning", "usage.source"),
    *("seconds", "first_token_seconds", "started", "finish_reason", "error", "request_hash", "instruction", "unused"),
)
_NOTHING_AVOIDED = (None,) * 6


def row_of(call: Call) -> tuple[Any, ...]:
    """The values of a call in the order of `CALL_COLUMNS`."""
    avoided = call.avoided
    row: tuple[Any, ...] = _plain(call)
    if avoided is None:
        return row + _NOTHING_AVOIDED
    return (
        *row,
        avoided.prompt,
        avoided.completion,
        avoided.cache_read,
        avoided.cache_write,
        avoided.reasoning,
        avoided.source,
    )


def calls_of(rows: Iterable[Sequence[Any]]) -> list[Call]:
    """The calls whose values in the order of `CALL_COLUMNS` are given. Equal words are kept in memory once."""
    seen: dict[str, Any] = {}
    once = seen.setdefault
    return [
        Call(
            run=once(r[0], r[0]),
            node=once(r[1], r[1]),
            item=once(r[2], r[2]),
            agent=once(r[3], r[3]),
            model=once(r[4], r[4]),
            served=once(r[5], r[5]),
            backend=once(r[6], r[6]),
            purpose=once(r[7], r[7]),
            attempt=r[8],
            status=once(r[9], r[9]),
            usage=Usage(r[10], r[11], r[12], r[13], r[14], once(r[15], r[15])),
            seconds=r[16],
            first_token_seconds=r[17],
            started=r[18],
            finish_reason=once(r[19], r[19]),
            error=r[20],
            request_hash=r[21],
            instruction=r[22],
            unused=r[23],
            avoided=None if r[29] is None else Usage(r[24], r[25], r[26], r[27], r[28], once(r[29], r[29])),
        )
        for r in rows
    ]
