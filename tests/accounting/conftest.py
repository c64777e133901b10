"""Calls for the tests of this folder: one as described (`make`), or any at all (hypothesis strategies)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from laconic.accounting import Call, Status
from laconic.backends.usage import NOTHING, Source, Usage

# A busy machine is no failure.
settings.register_profile("laconic", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("laconic")

SOURCES: list[Source] = ["server", "counted", "estimated"]
STATUSES: list[Status] = ["ok", "failed", "timeout", "aborted", "discarded", "replayed"]
words = st.sampled_from(["", "a", "b", "answer", "answer/E1", "größe", "x" * 40])


@st.composite
def usages(draw: st.DrawFn, known: bool = False) -> Usage:
    """Any usage; `known` leaves nothing unsaid."""
    prompt, completion = draw(st.integers(0, 5000)), draw(st.integers(0, 5000))
    read = draw(st.integers(0, prompt))
    write = draw(st.integers(0, prompt - read))
    figures: list[int | None] = [prompt, completion, read, write, draw(st.integers(0, completion))]
    if not known:
        figures = [None if draw(st.integers(0, 3)) == 0 else figure for figure in figures]
    names = ("prompt", "completion", "cache_read", "cache_write", "reasoning")
    return Usage(**dict(zip(names, figures, strict=True)), source=draw(st.sampled_from(SOURCES)))


@st.composite
def calls(draw: st.DrawFn, known: bool = False) -> Call:
    """Any call."""
    status = draw(st.sampled_from(STATUSES))
    replayed = status == "replayed"
    return Call(
        run=draw(st.sampled_from(["r1", "r2"])),
        node=draw(words),
        item=draw(words),
        agent=draw(words),
        model=draw(st.sampled_from(["small", "large"])),
        served=draw(words),
        backend=draw(words),
        purpose=draw(st.sampled_from(["plan", "act", "solve", "tool"])),
        attempt=0 if replayed else draw(st.integers(1, 3)),
        status=status,
        usage=NOTHING if replayed else draw(usages(known)),
        avoided=draw(usages(known)) if replayed else None,
        seconds=draw(st.floats(0, 100)),
        first_token_seconds=draw(st.none() | st.floats(0, 10)),
        started=draw(st.floats(0, 2e9)),
        finish_reason=draw(st.sampled_from(["", "stop", "cut"])),
        error=draw(st.text(st.sampled_from("aé 🙂\n\"'\0"), max_size=20)),
        request_hash=draw(words),
        instruction=draw(st.none() | st.integers(0, 5000)),
    )


@pytest.fixture(scope="session")
def any_calls() -> st.SearchStrategy[list[Call]]:
    """Lists of any calls."""
    return st.lists(calls(), max_size=20)


@pytest.fixture(scope="session")
def known_calls() -> st.SearchStrategy[list[Call]]:
    """Lists of calls whose servers said everything."""
    return st.lists(calls(known=True), max_size=20)


def make_call(prompt: int | None = 10, completion: int | None = 5, **fields: Any) -> Call:
    usage = fields.pop("usage", Usage(prompt, completion, 0, 0, 0))
    return Call(**{"run": "r1", "node": "answer", "model": "large", "usage": usage, **fields})


@pytest.fixture(scope="session")
def make() -> Callable[..., Call]:
    """A plain call that used so many prompt and completion tokens; other fields as given."""
    return make_call
