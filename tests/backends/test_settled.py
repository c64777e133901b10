from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from laconic.backends import settled
from laconic.backends.backend import Counters
from laconic.backends.scripted import NoopBackend
from laconic.backends.settled import settled_counters
from laconic.errors import BackendTimeout


class Recorder(NoopBackend):
    """Gives these counters one after the other, the last one for ever; None waits without end."""

    def __init__(self, *found: Counters | None) -> None:
        super().__init__()
        self.found: Sequence[Counters | None] = found
        self.asked = 0

    async def counters(self) -> Counters:
        counters = self.found[min(self.asked, len(self.found) - 1)]
        self.asked += 1
        if counters is None:
            await asyncio.Event().wait()
        assert counters is not None
        return counters


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settled, "STEP", 0.001)


def counted(generated: int, busy: int | None = None) -> Counters:
    return Counters(1, 0, generated, busy=busy)


async def test_an_idle_server_is_asked_twice() -> None:
    server = Recorder(counted(5, busy=0))
    found = await settled_counters(server)
    assert found is not None
    assert (found.counters, found.busy, server.asked) == (counted(5, busy=0), False, 2)


async def test_what_is_still_being_recorded_is_waited_for() -> None:
    server = Recorder(counted(5, 0), counted(6, 0), counted(7, 0))
    found = await settled_counters(server)
    assert found is not None
    assert (found.counters.generated, found.busy) == (7, False)


async def test_a_request_under_way_is_waited_for_though_nothing_changes() -> None:
    server = Recorder(*[counted(5, busy=1)] * 4, counted(5, busy=0))
    found = await settled_counters(server)
    assert found is not None
    assert (found.counters.busy, found.busy) == (0, False)


async def test_a_server_that_does_not_tell_is_read_until_nothing_changes() -> None:
    found = await settled_counters(Recorder(counted(5), counted(6)))
    assert found is not None
    assert (found.counters, found.busy) == (counted(6), False)


async def test_patience_ends_and_says_so() -> None:
    found = await settled_counters(Recorder(counted(5, busy=1)), patience=0.01)
    assert found is not None
    assert (found.counters.generated, found.busy) == (5, True)


async def test_a_server_without_counters_has_none() -> None:
    class Silent(NoopBackend):
        async def counters(self) -> Counters:
            return None  # type: ignore[return-value]  # as the protocol allows

    assert await settled_counters(Silent()) is None


async def test_a_server_that_does_not_answer_is_no_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settled, "SLOWEST", 0.01)
    with pytest.raises(BackendTimeout, match="server of 'noop' did not give its counters within"):
        await settled_counters(Recorder(None))
