"""`laconic demo`: a real model on this machine, three ways to answer, and the bill, checked against the server."""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import ExitStack
from typing import Annotated

import typer

from ..accounting.audit import Audit
from ..accounting.ledger import Ledger
from ..backends import catalogue
from ..evals.comparison import Comparison, compare
from ..evals.contestant import Contestant, contestants
from ..evals.data import Data, Item, gold_answers, read_items
from ..evals.rows import Row
from ..orchestrator import CallCharged, Event, Flow, ModelSpec, Runtime
from ..workflows import folder
from .download import pull_shown
from .errors import FAILED, OK, exit_status, say
from .ledger import show_bill
from .options import StoreOption, model_specs, preflight, with_models
from .proof import show_proof
from .records import Records
from .stopping import run_to_the_end
from .storage import opened, store_path
from .tables import show_comparison
from .text import one_line

METHODS = ("direct", "react", "rewoo")
ROLE = "large"
CLEAR = "\r\x1b[K"
"""What makes a terminal forget the line it is on."""
SECONDS = 440.0
"""No question is begun that would not be answered by then, as far as those before can tell."""
LAST = 540.0
"""Seconds after which whatever is under way is stopped: the demo ends within ten minutes, however busy the machine."""


def demo(
    questions: Annotated[int, typer.Option("--questions", min=1, metavar="N", help="How many to ask.")] = 5,
    model: Annotated[str | None, typer.Option("--model", metavar="SPEC", help="Another model than the flows'.")] = None,
    store: StoreOption = None,
) -> None:
    """Answer questions with one call, with ReAct and with ReWOO; show answers, tokens, the bill, and its proof."""
    specs = model_specs([f"{ROLE}={model}"] if model is not None else None)
    specs = {role: spec.model_copy(update={"estimate": True}) for role, spec in specs.items()}  # for the flows' budgets
    flows = with_models([Flow.load(folder() / f"{name}.yaml") for name in METHODS], specs)
    entrants = contestants([(flow.name, flow) for flow in flows])
    data = read_items(folder() / "data" / "questions.jsonl", questions)
    _fetch(flows[0].models[ROLE])
    with ExitStack() as stack:
        ledger, answers, database = stack.enter_context(opened(store_path(store)))
        audit = Audit(ledger)
        records = stack.enter_context(Records(database, data.path, audit))
        session = _Demo(entrants, data, ledger)

        async def everything() -> Comparison:
            waiting = _Waiting()
            async with (
                Runtime(
                    ledger=ledger,
                    store=answers,
                    reuse=store is not None,
                    on_event=waiting.event,
                    on_open=audit.include,
                ) as runtime,
                audit,
            ):
                return await session.run(runtime, records)

        comparison = run_to_the_end(everything())
        records.status = "ok" if comparison.error is None else "failed"
        raise typer.Exit(session.show(comparison, audit))


def _fetch(spec: ModelSpec) -> None:
    if spec.backend == "local" and spec.model.lower() in catalogue.CATALOGUE and catalogue.find(spec.model) is None:
        say(f"the model {spec.model} is not on this machine yet; getting it (once)")
        pull_shown(spec.model)


class _Demo:
    """The questions one after the other, each answered by every method."""

    def __init__(self, entrants: list[Contestant], data: Data, ledger: Ledger) -> None:
        self.entrants, self.data, self.ledger = entrants, data, ledger
        self._answered = 0
        self._began = time.monotonic()

    async def run(self, runtime: Runtime, records: Records) -> Comparison:
        """Ask until all is asked or the time is up."""
        spec = self.entrants[0].flow.models[ROLE]
        _tell(f"model: {spec.model} ({spec.backend}); loading ...")
        facts = await preflight([contestant.flow for contestant in self.entrants], runtime)
        server = facts[self.entrants[0].flow.name, ROLE]
        _tell(f"served by {server.server} {server.version or ''}".rstrip())
        asked = Comparison([c.name for c in self.entrants], len(self.data.items), [])
        try:
            async with asyncio.timeout(LAST - (time.monotonic() - self._began)):
                await self._ask_all(asked, runtime, records)
        except TimeoutError:
            _tell(f"\nstopped: {LAST:.0f} s have passed")
        order = {name: place for place, name in enumerate(asked.names)}
        asked.rows.sort(key=lambda row: order[row.flow])  # stable: the questions keep their order
        return asked

    async def _ask_all(self, asked: Comparison, runtime: Runtime, records: Records) -> None:
        def answered(row: Row, _fresh: bool) -> None:
            asked.rows.append(row)
            _answer(row)

        for item in list(self.data.items):
            if self._answered and not self._time_for_another():
                _tell(f"\nstopped after {self._answered} questions: another could take too long")
                return
            self._ask(item)
            one = Data(self.data.path, [item])
            part = await compare(self.entrants, one, runtime, on_start=records.start, on_row=answered)
            self._answered += 1
            if part.error is not None:
                asked.error = part.error
                return

    def _time_for_another(self) -> bool:
        spent = time.monotonic() - self._began
        return spent + spent / self._answered < SECONDS

    def _ask(self, item: Item) -> None:
        gold = gold_answers(item)[0]
        _tell(f"\n{self._answered + 1}. {item.fields['question']}\n   right answer: {gold}")

    def show(self, comparison: Comparison, audit: Audit) -> int:
        """The table, the bill of one ReWOO run, the proof; returns the exit status."""
        _tell("")
        show_comparison(comparison.figures)
        last = next((row for row in reversed(comparison.rows) if row.flow == METHODS[-1]), None)
        if last is not None:
            _tell(f"\nthe bill of {last.flow} for question {last.id}:")
            mine = {"run": last.run, "item": last.id}
            show_bill("node", self.ledger.by("node", **mine), self.ledger.total(**mine))
        if comparison.error is not None:
            say(f"error: {comparison.error}")
            return exit_status(comparison.error) or FAILED
        for why in audit.unprovable.values():
            _tell(f"\nthe ledger cannot be held against the server: {why}")
        proved = True
        for proof in audit.proofs.values():
            _tell("\nthe ledger of this whole demo, held against the server's own counters (tokens):")
            proved = show_proof(proof) and proved
        return OK if proved else FAILED


class _Waiting:
    """A line on the terminal that says what the answer on its way has taken so far."""

    def __init__(self) -> None:
        self._node = ("", "")
        self._calls = self._tokens = 0

    def event(self, event: Event) -> None:
        """Count what was charged to the item that is under way."""
        if isinstance(event, CallCharged) and sys.stderr.isatty():
            call = event.call
            if (call.run, call.item) != self._node:
                self._node, self._calls, self._tokens = (call.run, call.item), 0, 0
            self._calls += 1
            self._tokens += call.usage.total or 0
            sys.stderr.write(f"{CLEAR}   ... {self._calls} calls, {self._tokens:,} tokens")
            sys.stderr.flush()


def _answer(row: Row) -> None:
    sign = "✓" if row.em else "~" if row.f1 else "✗"
    said = one_line(row.answer, 48) if row.answer else f"({row.status})"
    if sys.stderr.isatty():
        sys.stderr.write(CLEAR)
        sys.stderr.flush()
    _tell(f"   {sign} {row.flow:<8}{said:<50}{row.total:>7,} tokens {row.seconds:>6.1f} s")
    if row.error:
        say(f"     {one_line(row.error)}")


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
