"""The real vLLM's counters against the ledger: equal to the token, or the difference is named and bounded."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from laconic.accounting import Audit, Call, Figures, Ledger, Meter, MeteredModel, Owner, Reconciliation
from laconic.backends import Delta, Message, OpenAIBackend, Request
from laconic.errors import BackendError

from .fault_proxy import FAULTS, FaultProxy

pytestmark = pytest.mark.integration

STABLE = "You answer questions about harbours, ships, lighthouses, tides and the people who live by the sea. " * 4
"""Longer than a block of the server's cache, so that a part of most prompts is in it."""
SCHEMA = {
    "type": "object",
    "properties": {"n": {"type": "integer", "maximum": 99}},
    "required": ["n"],
    "additionalProperties": False,
}


@pytest.fixture
async def backend(vllm: Any) -> AsyncIterator[OpenAIBackend]:
    made = OpenAIBackend(vllm.name, vllm.url, key=vllm.key, name="vllm")
    yield made
    await made.aclose()


def asked(model: str, number: int, most: int | None = None) -> Request:
    """The request of that number: five ways to ask, each with its own length.

    `most`: answers that nothing else ends are that long, whatever the model would say: what is cut short was under way.
    """
    long = {"ignore_eos": True} if most else {}
    most = most or 1 + number % 12
    question = f"Question {number}: how many ships are in harbour {number % 7}?"
    messages = (Message("system", STABLE), Message("user", question))
    common: dict[str, Any] = {"model": model, "max_tokens": most, "sample": number, "extra": long}
    match number % 5:
        case 0:
            return Request(messages=messages, **common)
        case 1:
            return Request(prompt=f"{STABLE}\n{question}", **common)
        case 2:
            ids = (*range(1000, 1070), 2000 + number, 2001)
            return Request(prompt_token_ids=ids, **common)
        case 3:
            return Request(messages=messages, stop=("e", "harbour"), **common)
        case _:
            return Request(messages=messages, schema=SCHEMA, **{**common, "max_tokens": max(most, 16)})


class Client:
    """Asks through the meter, each request under a node of its own, and never raises what a backend raises."""

    def __init__(self, backend: OpenAIBackend, *, retries: int = 0) -> None:
        self.ledger = Ledger()
        self.model = MeteredModel("large", backend, retries=retries)
        self._meter = Meter(self.ledger)

    async def ask(self, request: Request, *, stream: bool, stop_after: int | None = None) -> None:
        """`stop_after`: cancel the call at this piece of its stream."""
        task = asyncio.current_task()
        assert task is not None
        heard = 0

        def hear(delta: Delta) -> None:
            nonlocal heard
            heard += 1
            if heard == stop_after:
                asyncio.get_running_loop().call_soon(task.cancel)

        owner = Owner("r", f"n{request.sample}")
        try:
            await self._meter.complete(self.model, request, owner=owner, on_delta=hear if stream else None)
        except BackendError:
            pass
        except asyncio.CancelledError:
            if stop_after is None or heard < stop_after:
                raise
            task.uncancel()


async def proved(client: Client, backend: OpenAIBackend, asking: Sequence[Any]) -> Reconciliation:
    """Everything asked at once, and held against what the server counted meanwhile."""
    async with Audit(client.ledger, [backend]) as audit:
        await asyncio.gather(*asking)
    assert audit.unprovable == {}
    (proof,) = audit.proofs.values()
    return proof


async def most_left(backend: OpenAIBackend, calls: Sequence[Call], requests: dict[str, Request]) -> Figures:
    """What calls that were cut short can have used at most beyond what the ledger holds of them."""
    prompt = cached = completion = 0
    for call in calls:
        request = requests[call.node]
        length = (await backend.count(request)).tokens
        prompt += length - (call.usage.prompt or 0)
        cached += length - (call.usage.cache_read or 0)
        completion += (request.max_tokens or 0) - (call.usage.completion or 0)
    return Figures(prompt, cached, completion)


async def check(proof: Reconciliation, client: Client, backend: OpenAIBackend, requests: dict[str, Request]) -> None:
    """Whatever the server counted beyond the ledger belongs to the calls that were cut short, and fits them."""
    cut = [call for call in client.ledger.calls if call.node in proof.cut and call.usage.source != "server"]
    left = await most_left(backend, [call for call in cut if call.status != "ok"], requests)
    assert 0 <= proof.residual.prompt <= left.prompt
    assert 0 <= proof.residual.cached <= left.cached
    assert 0 <= proof.residual.completion <= left.completion
    assert proof.explained
    assert proof.others == 0
    assert proof.requests is not None
    assert proof.finished <= proof.requests <= proof.finished + sum(proof.unsettled.values())


async def test_two_hundred_mixed_calls_at_once_are_equal_to_the_token(backend: OpenAIBackend) -> None:
    client = Client(backend)
    requests = [asked(backend.model, number) for number in range(200)]
    proof = await proved(client, backend, [client.ask(r, stream=r.sample % 2 == 0) for r in requests])
    assert [call.status for call in client.ledger.calls] == ["ok"] * 200
    assert {call.usage.source for call in client.ledger.calls} == {"server"}
    assert proof.closed, proof.explain()
    assert proof.ledger.cached > 0
    assert proof.requests == proof.finished == proof.samples == 200


async def test_streams_that_are_broken_off_are_the_named_residual(backend: OpenAIBackend) -> None:
    client = Client(backend)
    requests = {f"n{number}": asked(backend.model, number, most=200) for number in range(5, 45)}
    asking = [
        client.ask(r, stream=True, stop_after=1 + r.sample % 9 if r.sample % 5 < 3 else None) for r in requests.values()
    ]
    proof = await proved(client, backend, asking)
    assert proof.unsettled.get("aborted", 0) > 10
    await check(proof, client, backend, requests)


async def test_calls_that_took_too_long_are_the_named_residual(backend: OpenAIBackend) -> None:
    hasty = OpenAIBackend(backend.model, backend.url, name="vllm", timeout=0.5)
    await hasty.facts()
    client = Client(hasty)
    requests = {f"n{number}": asked(backend.model, number, most=100) for number in range(40)}
    proof = await proved(client, backend, [client.ask(r, stream=r.sample % 2 == 0) for r in requests.values()])
    await hasty.aclose()
    assert proof.unsettled.get("timeout", 0) > 5
    await check(proof, client, backend, requests)


@pytest.mark.parametrize("seed", [1, 2])
async def test_whatever_the_network_does_every_token_has_an_owner(backend: OpenAIBackend, seed: int) -> None:
    requests = {f"n{number}": asked(backend.model, number) for number in range(100)}
    async with FaultProxy(backend.url, seed=seed, share=0.5) as proxy:
        faulty = OpenAIBackend(backend.model, proxy.url, name="vllm", timeout=10)
        client = Client(faulty, retries=1)
        proof = await proved(client, backend, [client.ask(r, stream=r.sample % 2 == 0) for r in requests.values()])
        await faulty.aclose()
    assert all(proxy.met[fault] for fault in FAULTS)
    await check(proof, client, backend, requests)


async def test_another_client_is_seen_and_counted(backend: OpenAIBackend) -> None:
    mine, other = Client(backend), Client(backend)
    asking = [mine.ask(asked(backend.model, number), stream=True) for number in range(6)]
    strange = [other.ask(asked(backend.model, number), stream=False) for number in range(10, 14)]
    proof = await proved(mine, backend, [*asking, *strange])
    spent = other.ledger.total()
    assert proof.residual == Figures(spent.prompt, spent.cache_read, spent.completion)
    assert proof.others == 4
    assert proof.explained
    assert any("other clients: 4 requests" in line for line in proof.explain())


FLOW = """
name: sea
models: {{large: {{backend: vllm, model: {name}, url: "{url}", key_env: VLLM_KEY, stream: true}}}}
nodes:
  answer:
    kind: prompt
    prompt: "Tell me about {{{{ item }}}}"
    for_each: [ships, tides, gulls]
    concurrency: 3
    max_tokens: {most}
outputs: {{answer: "{{{{ answer }}}}"}}
"""


@pytest.fixture
def command(vllm: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., subprocess.Popen[str]]:
    """Starts `laconic` with a ledger of its own; `flow.yaml` is a flow of so many tokens."""
    monkeypatch.setenv("VLLM_KEY", vllm.key or "none")
    monkeypatch.setenv("LACONIC_STORE", str(tmp_path / "ledger.db"))
    # A shell starts what it puts in the background with Ctrl-C ignored; here it must count wherever the tests run.
    code = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from laconic.cli import main; sys.argv[0] = 'laconic'; main()"
    )

    def start(*args: str, most: int = 8) -> subprocess.Popen[str]:
        (tmp_path / "flow.yaml").write_text(FLOW.format(name=vllm.name, url=vllm.url, most=most))
        return subprocess.Popen(
            [sys.executable, "-c", code, *args],
            cwd=tmp_path,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    return start


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    with process:
        out, _ = process.communicate(timeout=120)
    return process.returncode, out


def test_a_run_of_the_command_is_audited(command: Callable[..., subprocess.Popen[str]]) -> None:
    status, out = ended(command("run", "flow.yaml"))
    assert status == 0, out
    status, out = ended(command("audit"))
    assert status == 0, out
    assert "3 calls, 3 requests finished by the server, tokens:" in out
    assert "they are equal, to the token" in out


async def test_a_run_stopped_with_ctrl_c_is_audited(
    backend: OpenAIBackend, command: Callable[..., subprocess.Popen[str]]
) -> None:
    process = command("run", "flow.yaml", most=1500)
    async with asyncio.timeout(120):
        before = generated = await count_generated(backend)
        while generated < before + 3:
            generated = await count_generated(backend)
    process.send_signal(signal.SIGINT)
    status, out = await asyncio.to_thread(ended, process)
    assert status == 130, out
    status, out = await asyncio.to_thread(ended, command("audit"))
    assert status == 0, out
    assert "to the token" in out or ("cut short: 3 aborted" in out and "the residual is explained" in out), out


async def count_generated(backend: OpenAIBackend) -> int:
    counters = await backend.counters()
    assert counters is not None
    return counters.generated
