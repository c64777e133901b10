"""`laconic demo`: a real model on this machine, three ways to answer, and the bill, checked against the server."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack
from typing import Annotated

import typer

from ..accounting.audit import Reconciliation
from ..accounting.budget import Budget, BudgetScope
from ..accounting.ledger import Ledger
from ..backends import catalogue
from ..backends.backend import Backend, Counters
from ..errors import LaconicError
from ..evals.comparison import Comparison, Contestant, compare, contestants
from ..evals.data import Data, Item, gold_answers, read_items
from ..evals.rows import Row
from ..orchestrator import Flow, ModelSpec, Runtime
from ..workflows import folder
from .download import pull_shown
from .errors import FAILED, OK, exit_status, say
from .ledger import show_bill
from .options import StoreOption, model_specs, preflight
from .records import Records
from .stopping import run_to_the_end
from .storage import opened, store_path
from .tables import show_comparison
from .text import one_line

METHODS = ("direct", "react", "rewoo")
ROLE = "large"
SECONDS = 480.0
"""No question is begun, and no call sent, when so much time has passed: the demo ends within ten minutes."""


def demo(
    questions: Annotated[int, typer.Option("--questions", min=1, metavar="N", help="How many to ask.")] = 5,
    model: Annotated[str | None, typer.Option("--model", metavar="SPEC", help="Another model than the flows'.")] = None,
    store: StoreOption = None,
) -> None:
    """Answer questions with one call, with ReAct and with ReWOO; show answers, tokens, the bill, and its proof."""
    specs = model_specs([f"{ROLE}={model}"] if model is not None else None)
    flows = [Flow.load(folder() / f"{name}.yaml").with_models(specs) for name in METHODS]
    entrants = contestants([(flow.name, flow) for flow in flows])
    data = read_items(folder() / "data" / "questions.jsonl", questions)
    _fetch(flows[0].models[ROLE])
    with ExitStack() as stack:
        ledger, answers, database = stack.enter_context(opened(store_path(store)))
        records = stack.enter_context(Records(database, data.path))
        session = _Demo(entrants, data, ledger)

        async def everything() -> Comparison:
            async with Runtime(ledger=ledger, store=answers, reuse=store is not None) as runtime:
                return await session.run(runtime, records)

        comparison = run_to_the_end(everything())
        records.status = "ok" if comparison.error is None else "failed"
        raise typer.Exit(session.show(comparison))


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
        self._proof: Reconciliation | None = None

    async def run(self, runtime: Runtime, records: Records) -> Comparison:
        """Ask until all is asked or the time is up."""
        spec = self.entrants[0].flow.models[ROLE]
        _tell(f"model: {spec.model} ({spec.backend}); loading ...")
        facts = await preflight([contestant.flow for contestant in self.entrants], runtime)
        server = facts[self.entrants[0].flow.name, ROLE]
        _tell(f"served by {server.server} {server.version or ''}".rstrip())
        backend = (await runtime.model(ROLE, spec)).backend
        before = await backend.counters()
        scope = BudgetScope(Budget(seconds=SECONDS), "the demo")
        asked = Comparison([c.name for c in self.entrants], 0, [])
        for item in list(self.data.items):
            if self._answered and not self._time_for_another():
                _tell(f"\nstopped after {self._answered} questions: {SECONDS:.0f} s have (almost) passed")
                break
            self._ask(item)
            one = Data(self.data.path, [item])
            part = await compare(self.entrants, one, runtime, scope=scope, on_start=records.start, on_row=_answer)
            asked.rows += part.rows
            asked.items = self._answered = self._answered + 1
            if part.error is not None:
                asked.error = part.error
                break
        order = {name: place for place, name in enumerate(asked.names)}
        asked.rows.sort(key=lambda row: order[row.flow])  # stable: the questions keep their order
        await self._prove(backend, before)
        return asked

    def _time_for_another(self) -> bool:
        spent = time.monotonic() - self._began
        return spent + spent / self._answered < SECONDS

    def _ask(self, item: Item) -> None:
        gold = gold_answers(item)[0]
        _tell(f"\n{self._answered + 1}. {item.fields['question']}\n   right answer: {gold}")

    async def _prove(self, backend: Backend, before: Counters | None) -> None:
        try:
            after = await backend.counters()
        except LaconicError:
            return
        if before is not None and after is not None:
            self._proof = self.ledger.reconcile(before, after)

    def show(self, comparison: Comparison) -> int:
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
        return self._show_proof()

    def _show_proof(self) -> int:
        if self._proof is None:
            _tell("\nthe server publishes no counters, so the ledger cannot be held against them")
            return OK
        _tell("\nthe ledger of this whole demo, held against the server's own counters (tokens):")
        server, ledger = self._proof.server, self._proof.ledger
        for what, theirs, ours in (
            ("prompt, computed", server.prompt - server.cached, ledger.prompt - ledger.cached),
            ("prompt, cached", server.cached, ledger.cached),
            ("completion", server.completion, ledger.completion),
        ):
            _tell(
                f"  {what:<17} server {theirs:>9,}   ledger {ours:>9,}   {'equal' if theirs == ours else 'DIFFERENT'}"
            )
        if self._proof.closed:
            _tell("they are equal, to the token")
            return OK
        for line in self._proof.explain():
            say(line)
        return FAILED


def _answer(row: Row, _fresh: bool) -> None:
    sign = "✓" if row.em else "~" if row.f1 else "✗"
    said = one_line(row.answer, 48) if row.answer else f"({row.status})"
    _tell(f"   {sign} {row.flow:<8}{said:<50}{row.total:>7,} tokens {row.seconds:>6.1f} s")
    if row.error:
        say(f"     {one_line(row.error)}")


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
