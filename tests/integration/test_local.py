"""`LocalBackend` with SmolLM2 on llama.cpp; pulls the model (98 MB) if it is not on this machine."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from laconic.backends import llama_server
from laconic.backends.catalogue import find
from laconic.backends.local import LocalBackend
from laconic.backends.pull import pull
from laconic.backends.request import Delta, Message, Request
from laconic.errors import ContextTooLong, ModelFileError, ServerFailure

pytestmark = pytest.mark.integration

MODEL = "smollm2-135m-instruct"
TOPICS = ("rivers and lakes", "mountains and passes", "bridges and roads")
"""Beginnings of prompts, each repeated to some 100 tokens."""


@pytest.fixture(scope="module", autouse=True)
def weights() -> Path:
    return find(MODEL) or pull(MODEL)


@pytest.fixture
async def backend() -> AsyncIterator[LocalBackend]:
    made = LocalBackend(MODEL, context=256, slots=2)
    yield made
    await made.aclose()


def ask(text: str, *, system: str | None = None, most: int = 4, **extra: object) -> Request:
    messages = (Message("user", text),) if system is None else (Message("system", system), Message("user", text))
    return Request(model=MODEL, messages=messages, max_tokens=most, extra=dict(extra))


def process_of(backend: LocalBackend) -> int:
    assert backend._running is not None
    process = backend._running[1]._process
    assert process is not None
    return process.pid


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and is not yet reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def until(done: Callable[[], bool]) -> None:
    """Wait for a condition that another process brings about; fails after 30 seconds."""
    async with asyncio.timeout(30):
        while not done():  # noqa: ASYNC110  # no event of ours tells of another process
            await asyncio.sleep(0.02)


async def test_answers_and_accounts_to_the_token(backend: LocalBackend) -> None:
    before = await backend.counters()
    requests = [ask(f"Say something about {topic}. " * (1 + n % 3)) for n, topic in enumerate(TOPICS * 2)]
    counts = [await backend.count(request) for request in requests]
    done = await asyncio.gather(*map(backend.complete, requests))
    after = await backend.counters()
    assert before is not None
    assert after is not None
    change = after.since(before)
    assert [completion.usage.prompt for completion in done] == [count.tokens for count in counts]
    assert {count.source for count in counts} == {"counted"}
    assert change.prompt == sum(completion.usage.prompt or 0 for completion in done)
    assert change.cached == sum(completion.usage.cache_read or 0 for completion in done)
    assert change.generated == sum(completion.usage.completion or 0 for completion in done)
    assert all(completion.text and completion.usage.source == "server" for completion in done)


async def test_context_is_for_each_request(backend: LocalBackend) -> None:
    facts = await backend.facts()
    assert facts.context == 256
    assert MODEL in facts.models
    assert (facts.server, facts.tokenizes, facts.metrics) == ("llama.cpp", True, True)
    long = "word " * 160
    done = await asyncio.gather(*(backend.complete(ask(long + str(n), most=1)) for n in range(2)))
    assert all((completion.usage.prompt or 0) > 160 for completion in done)
    with pytest.raises(ContextTooLong):
        await backend.complete(ask("word " * 300))


async def test_prompts_that_alternate_keep_their_prefixes() -> None:
    backend = LocalBackend(MODEL, context=512, slots=2)  # and three beginnings, which is one more than slots
    shares = []
    try:
        for turn in range(3):
            for topic in TOPICS:
                completion = await backend.complete(
                    ask(f"Question {turn}?", system=f"All about {topic}. " * 15, most=1)
                )
                assert completion.usage.prompt is not None
                if turn:
                    shares.append((completion.usage.cache_read or 0) / completion.usage.prompt)
    finally:
        await backend.aclose()
    assert min(shares) > 0.8


async def test_loading_does_not_hold_up_other_tasks() -> None:
    backend = LocalBackend(MODEL, context=256, slots=1)
    loop = asyncio.get_running_loop()
    longest, last = 0.0, loop.time()
    loading = asyncio.create_task(backend.start())
    while not loading.done():
        await asyncio.sleep(0.005)
        longest, last = max(longest, loop.time() - last), loop.time()
    await loading
    await backend.aclose()
    assert longest < 0.5


async def test_a_cancelled_call_stops_the_server_and_is_known_to_the_token(backend: LocalBackend) -> None:
    await backend.start()
    before = await backend.counters()
    first = asyncio.Event()

    def arrived(delta: Delta) -> None:
        first.set()

    task = asyncio.create_task(backend.complete(ask("Count to a thousand.", most=200, ignore_eos=True), arrived))
    await first.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError) as cancelled:
        await task
    partial = cancelled.value.partial  # type: ignore[attr-defined]  # the contract of Backend
    assert partial.usage.completion >= 1
    done = await backend.complete(ask("Hello", most=1, id_slot=0))  # behind the other, so that it has ended
    after = await backend.counters()
    assert before is not None
    assert after is not None
    generated = after.since(before).generated - (done.usage.completion or 0)
    assert partial.usage.completion <= generated < 200


async def test_a_call_that_is_not_streamed_stops_too(backend: LocalBackend) -> None:
    await backend.start()
    before = await backend.counters()
    assert before is not None
    task = asyncio.create_task(backend.complete(ask("Count to a thousand.", most=200, ignore_eos=True)))
    async with asyncio.timeout(30):
        while (now := await backend.counters()) is None or now.prompt == before.prompt:
            if task.done():
                break
            await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.gather(*(backend.complete(ask("Hello", most=1, id_slot=slot)) for slot in (0, 1)))
    after = await backend.counters()
    assert after is not None
    assert after.since(before).generated < 200


async def test_equal_backends_share_a_server_until_the_last_has_gone() -> None:
    one, two = LocalBackend(MODEL, context=256, slots=1), LocalBackend(MODEL, context=256, slots=1)
    other = LocalBackend(MODEL, context=256, slots=2)
    await asyncio.gather(one.start(), two.start(), other.start())
    pid = process_of(one)
    assert pid == process_of(two) != process_of(other)
    await one.aclose()
    await one.aclose()
    assert (await two.complete(ask("Hello", most=1))).usage.completion == 1
    await two.aclose()
    await other.aclose()
    assert not alive(pid)
    assert llama_server.servers == {}
    again = await one.complete(ask("Hello", most=1))  # closed is not for ever
    assert again.usage.completion == 1
    await one.aclose()


async def test_a_load_that_is_cancelled_leaves_nothing() -> None:
    backend = LocalBackend(MODEL, context=256, slots=1)
    task = asyncio.create_task(backend.start())
    await until(lambda: any(server._process is not None for server in llama_server.servers.values()))
    (server,) = llama_server.servers.values()
    assert server._process is not None
    pid = server._process.pid
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert llama_server.servers == {}
    await until(lambda: not alive(pid))


async def test_closing_while_it_answers_ends_at_once(backend: LocalBackend) -> None:
    await backend.start()
    first = asyncio.Event()
    task = asyncio.create_task(backend.complete(ask("Count.", most=200, ignore_eos=True), lambda delta: first.set()))
    await first.wait()
    pid, started = process_of(backend), time.monotonic()
    await backend.aclose()
    assert not alive(pid)
    assert time.monotonic() - started < 5
    with pytest.raises(ServerFailure, match="was closed while it was answering") as failure:
        await task
    assert failure.value.partial.usage.completion >= 1


async def test_a_server_that_dies_is_named_and_started_again(backend: LocalBackend) -> None:
    await backend.start()
    pid = process_of(backend)
    first = asyncio.Event()
    task = asyncio.create_task(backend.complete(ask("Count.", most=200, ignore_eos=True), lambda delta: first.set()))
    await first.wait()
    os.kill(pid, signal.SIGKILL)
    await until(lambda: not alive(pid))
    with pytest.raises(ServerFailure, match="process of 'smollm2-135m-instruct' has ended") as failure:
        await task
    assert failure.value.partial.usage.completion >= 1
    assert (await backend.complete(ask("Hello", most=1))).usage.completion == 1
    assert process_of(backend) != pid


@pytest.fixture
def cut_short(weights: Path, tmp_path: Path) -> Path:
    """The first megabyte of the model."""
    broken = tmp_path / "broken.gguf"
    with weights.open("rb") as whole:
        broken.write_bytes(whole.read(1_000_000))
    return broken


async def test_what_cannot_be_loaded_is_said_by_llama_cpp(cut_short: Path) -> None:
    with pytest.raises(ModelFileError, match=r"llama\.cpp cannot load .*broken\.gguf: gguf_init"):
        await LocalBackend(cut_short).start()
    assert llama_server.servers == {}


CHILD = """
import asyncio, sys
from laconic.backends import LocalBackend, Message, Request
async def main():
    backend = LocalBackend("smollm2-135m-instruct", context=256, slots=1)
    await backend.start()
    print(backend._running[1]._process.pid, flush=True)
    if sys.argv[1] == "kill":
        await backend.complete(Request(model=backend.model, messages=(Message("user", "Count."),), max_tokens=200,
                                       extra={"ignore_eos": True}))
        await asyncio.Future()
    await backend.complete(Request(model=backend.model, messages=(Message("user", "Hi"),), max_tokens=1))
asyncio.run(main())
"""


@pytest.mark.parametrize("end", ["exit", "kill"])
async def test_a_process_that_ends_leaves_no_server_and_prints_nothing(end: str) -> None:
    pipe = asyncio.subprocess.PIPE
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", CHILD, end, stdout=pipe, stderr=pipe)
    assert child.stdout is not None
    pid = int(await child.stdout.readline())
    if end == "kill":
        assert alive(pid)
        child.kill()
    out, errors = await child.communicate()
    assert out == b""
    assert b"srv " not in errors  # llama.cpp's own lines; ours may complain of a client that was not closed
    await until(lambda: not alive(pid))


async def test_an_outsider_without_the_key_is_not_answered(backend: LocalBackend) -> None:
    import httpx

    await backend.start()
    assert backend._running is not None
    address = backend._running[1].address
    async with httpx.AsyncClient(base_url=address) as client:
        assert (await client.post("/v1/chat/completions", json={"messages": []})).status_code == 401
        assert (await client.get("/metrics")).status_code == 401
    assert address.startswith("http://127.0.0.1:")
