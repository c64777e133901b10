"""An audit reads the servers before and after, and proves what they answered in between."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from laconic.accounting import Audit, Call, Database, Figures, Ledger, Meter, MeteredModel, Owner, Reading
from laconic.accounting.readings import Moment
from laconic.backends import (
    Completion,
    CutStream,
    Delta,
    Message,
    NoopBackend,
    Request,
    ScriptedBackend,
    Usage,
    settled,
)
from laconic.backends.backend import Counters
from laconic.errors import BackendError, ServerFailure

ANSWER = "one two three four five six seven"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settled, "STEP", 0.001)


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger(Database(tmp_path / "ledger.db"))
    yield ledger
    ledger.close()


def request(number: int = 0) -> Request:
    text = "words that many prompts begin with, and more of them than a block of the cache holds " * 2
    return Request(model="m", messages=(Message("user", f"{text}{number}"),), max_tokens=20)


class Heard:
    """Cancels the call at a piece of its stream."""

    def __init__(self, cancel_at: int | None) -> None:
        self.task: asyncio.Future[Completion] | None = None
        self._left = cancel_at

    def __call__(self, delta: Delta) -> None:
        if self._left is not None and self.task is not None:
            self._left -= 1
            if not self._left:
                self.task.cancel()


async def ask(
    ledger: Ledger,
    backend: ScriptedBackend | NoopBackend,
    *,
    calls: int = 1,
    run: str = "r1",
    cancel_at: int | None = None,
) -> None:
    """Calls through the meter, one node each; failures are the server's business."""
    meter, model = Meter(ledger), MeteredModel("large", backend, retries=0)
    for number in range(calls):
        heard = Heard(cancel_at)
        owner = Owner(run, f"n{number}")
        heard.task = asyncio.ensure_future(meter.complete(model, request(number), owner=owner, on_delta=heard))
        await asyncio.gather(heard.task, return_exceptions=True)


async def test_what_went_through_the_meter_is_equal_to_the_token() -> None:
    ledger, small, large = Ledger(), ScriptedBackend("yes", model="small"), ScriptedBackend(ANSWER, model="large")
    await ask(ledger, large, calls=2)
    async with Audit(ledger, [small, large]) as audit:
        await ask(ledger, small, calls=3)
        await ask(ledger, large, calls=4, run="r2")
    assert list(audit.proofs) == ["small", "large"]
    assert all(proof.closed and proof.explained for proof in audit.proofs.values())
    assert [proof.total.calls for proof in audit.proofs.values()] == [3, 4]
    assert audit.proofs["large"].ledger.cached > 0
    assert audit.unprovable == {}


async def test_streams_cut_and_cancelled_are_the_explained_residual() -> None:
    ledger = Ledger()
    backend = ScriptedBackend(ANSWER, model="m", failures=[None, CutStream(3), ServerFailure("on fire")])
    async with Audit(ledger, [backend]) as audit:
        await ask(ledger, backend, calls=3)
        await ask(ledger, backend, cancel_at=2)
    proof = audit.proofs["m"]
    assert proof.unsettled == {"failed": 2, "aborted": 1}
    assert proof.explained
    assert set(proof.cut) == {"n0", "n1", "n2"}
    unreported = (await backend.count(request(2))).tokens
    assert proof.residual.prompt == unreported, "of the call that failed nobody knows what it used"


async def test_what_somebody_else_asks_is_not_explained_where_requests_are_not_counted() -> None:
    ledger, backend = Ledger(), ScriptedBackend(ANSWER, model="m")
    async with Audit(ledger, [backend]) as audit:
        await ask(ledger, backend)
        await ask(Ledger(), backend)
    assert audit.proofs["m"].residual.completion > 0
    assert not audit.proofs["m"].explained


async def test_work_that_fails_or_is_cancelled_is_read_all_the_same() -> None:
    ledger, backend = Ledger(), ScriptedBackend(ANSWER, model="m")
    audit, asked = Audit(ledger, [backend]), asyncio.Event()

    async def work() -> None:
        async with audit:
            await ask(ledger, backend)
            asked.set()
            await asyncio.Event().wait()

    task = asyncio.ensure_future(work())
    await asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert audit.proofs["m"].closed


async def test_two_backends_of_one_name_are_added_up_and_one_given_twice_is_read_once() -> None:
    ledger, one, two = Ledger(), ScriptedBackend("yes", model="m"), ScriptedBackend(ANSWER, model="m")
    async with Audit(ledger, [one, two, one]) as audit:
        await ask(ledger, one)
        await ask(ledger, two)
    assert audit.proofs["m"].closed
    assert audit.proofs["m"].total.calls == 2


class At(NoopBackend):
    """A server at an address, of a kind."""

    def __init__(self, url: str, name: str) -> None:
        super().__init__(model="m")
        self.url, self.name = url, name


async def test_a_server_that_two_kinds_of_backend_speak_to_counts_once() -> None:
    ledger = Ledger()
    shared = At("http://127.0.0.1:9/v1", "vllm")

    class SameServer(At):
        async def counters(self) -> Counters:
            return await shared.counters()

    also = SameServer(shared.url, "openai")
    async with Audit(ledger, [shared, also]) as audit:
        await ask(ledger, shared, calls=2)
    assert audit.proofs["m"].closed


class Gone(NoopBackend):
    """Publishes counters once, and is not there any more."""

    async def counters(self) -> Counters:
        if self.calls:
            raise BackendError("nothing answers there")
        return await super().counters()


class Silent(NoopBackend):
    async def counters(self) -> Counters:
        return None  # type: ignore[return-value]  # as the protocol allows


async def test_what_cannot_be_read_stops_nothing_and_is_said() -> None:
    ledger, gone, silent = Ledger(), Gone(model="gone"), Silent(model="silent")
    async with Audit(ledger, [gone, silent]) as audit:
        await ask(ledger, gone)
        await ask(ledger, silent)
    assert [call.status for call in ledger.calls] == ["ok", "ok"]
    assert audit.proofs == {}
    assert audit.unprovable == {
        "gone": "its server could not be read: nothing answers there",
        "silent": "its server publishes no counters",
    }


async def test_readings_are_kept_beside_every_run_they_are_of(kept: Ledger) -> None:
    backend = ScriptedBackend(ANSWER, model="m")
    async with Audit(kept) as audit:
        await audit.include(backend)
        audit.keep("r1")
        audit.keep("r1")
        await ask(kept, backend)
        audit.keep("r2")
        await ask(kept, backend, run="r2")
    assert kept.database is not None
    before, after = kept.database.readings("r1")
    assert (before.moment, after.moment, before.served, before.backend) == ("before", "after", "m", "scripted")
    assert (before.server, before.busy, before.requests) == ("", False, None)
    assert [reading.moment for reading in kept.database.readings("r2")] == ["before", "after"]
    assert kept.database.readings("r3") == []
    proof = kept.reconcile(before, after)
    assert proof.closed
    assert proof.total.calls == 2, "both runs used that server meanwhile"


async def test_calls_that_another_process_wrote_to_the_file_are_known(kept: Ledger) -> None:
    backend = ScriptedBackend(ANSWER, model="m")
    assert kept.database is not None
    with Database(kept.database.path) as theirs:
        async with Audit(kept, [backend]) as audit:
            await ask(kept, backend)
            await ask(Ledger(theirs), backend, run="theirs")
        theirs.flush()
        assert audit.proofs["m"].closed


def test_a_pair_of_readings_takes_only_what_began_between_them() -> None:
    def reading(moment: Moment, taken: float, generated: int) -> Reading:
        which = {"server": "", "served": "m", "backend": ""}
        return Reading(**which, moment=moment, taken=taken, computed=0, cached=0, generated=generated)

    ledger = Ledger()
    for started, served in [(9.0, "m"), (10.0, "m"), (15.0, "m"), (15.0, "other"), (20.0, "m"), (21.0, "m")]:
        ledger.append(Call("r", model="large", served=served, started=started, usage=Usage(0, 1, 0, 0, 0)))
    proof = ledger.reconcile(reading("before", 10.0, 100), reading("after", 20.0, 103))
    assert proof.closed
    assert proof.ledger == Figures(0, 0, 3)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://127.0.0.1:8000/v1", "http://127.0.0.1:8000/v1"),
        ("https://me:secret@host/v1?key=secret#m", "https://host/v1"),
    ],
)
async def test_an_address_holds_no_secret(kept: Ledger, url: str, shown: str) -> None:
    async with Audit(kept, [At(url, "vllm")]) as audit:
        audit.keep("r")
    assert kept.database is not None
    assert {reading.server for reading in kept.database.readings("r")} == {shown}
