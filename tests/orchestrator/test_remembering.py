"""What a node found out, and how long a call's instruction is, on their way to store and ledger."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from laconic.accounting import Database, Ledger, Store
from laconic.backends import ScriptedBackend
from laconic.errors import LedgerError
from laconic.orchestrator import Context, Flow, Node, Runtime, kind

MakeFlow = Callable[..., Flow]


@kind("test_measured")
class Measured(Node):
    """Gives what it measured the first time it was asked."""

    key: str = "size"
    found: dict[str, Any]

    async def run(self, ctx: Context) -> Any:
        known = ctx.recall(self.key)
        if known is None:
            ctx.remember(self.key, self.found)
        return known or self.found


@kind("test_counted")
class Counted(Node):
    """Asks, and says how long the instruction is."""

    instruction: int | None

    async def run(self, ctx: Context) -> Any:
        return (await ctx.complete("Who?", model="large", instruction=self.instruction)).text


def runtime(store: Store | None, **more: Any) -> Runtime:
    return Runtime(backends={"large": ScriptedBackend("x")}, store=store, **more)


async def measure(flow: MakeFlow, runtime: Runtime, best: int, *, run_id: str | None = None, **more: Any) -> Any:
    node = {"kind": "test_measured", "found": {"best": best, "of": ["größer", None, 0.5]}, **more}
    result = await flow({"it": node}, {"best": "{{ it.best }}"}).run(runtime=runtime, run_id=run_id)
    return result.raise_for_status().outputs["best"]


async def test_a_later_node_and_a_later_run_know_what_was_found_out(flow: MakeFlow, tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with Database(path) as database:
        first = runtime(Store(database))
        assert [await measure(flow, first, best) for best in (8, 16)] == [8, 8]
        assert await measure(flow, first, 32, key="another") == 32
    with Database(path) as database:
        assert await measure(flow, runtime(Store(database)), 64) == 8


async def test_without_a_store_nothing_is_remembered(flow: MakeFlow) -> None:
    alone = runtime(None)
    assert [await measure(flow, alone, best) for best in (8, 16)] == [8, 16]


async def test_a_runtime_without_findings_neither_looks_nor_leaves_any(flow: MakeFlow) -> None:
    store = Store()
    blind = runtime(store, findings=False)
    assert [await measure(flow, blind, best) for best in (8, 16)] == [8, 16]
    assert store.recall("size") is None
    assert await measure(flow, runtime(store), 32) == 32
    assert await measure(flow, blind, 64) == 64


async def test_a_runtime_without_findings_remembers_within_a_run(flow: MakeFlow) -> None:
    blind = runtime(Store(), findings=False)
    assert [await measure(flow, blind, best, run_id="one") for best in (8, 16)] == [8, 8]
    assert await measure(flow, blind, 32, run_id="other") == 32


async def test_what_somebody_wrote_there_that_is_no_finding_is_said(flow: MakeFlow) -> None:
    store = Store()
    store.remember("size", "[8]")
    with pytest.raises(LedgerError, match=r"under 'size' is no JSON object .*delete that row of the table `findings`"):
        await measure(flow, runtime(store), 8)


async def test_the_length_of_an_instruction_comes_to_the_ledger(flow: MakeFlow, tmp_path: Path) -> None:
    nodes = {
        "one": {"kind": "test_counted", "instruction": 40},
        "two": {"kind": "test_counted", "instruction": None, "when": "{{ one }}"},
    }
    with Database(tmp_path / "ledger.db") as database:
        run = await flow(nodes).run(runtime=runtime(None, ledger=Ledger(database)))
        assert run.status == "ok"
        database.flush()
        said = [call.instruction for call in Ledger.load(database.path).calls]
    assert said == [call.instruction for call in run.ledger.calls] == [40, None]
