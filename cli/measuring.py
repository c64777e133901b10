"""The calls of `laconic calibrate`: prompts of several lengths, one call at a time, as a run of the ledger."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

import msgspec

from ..accounting.audit import Audit
from ..accounting.calibration import Points, fit
from ..accounting.call import Owner
from ..accounting.database import Database
from ..accounting.ledger import Ledger
from ..accounting.runs import RunRecord
from ..backends.backend import ServerFacts
from ..backends.request import Request
from ..errors import InputError, LaconicError
from ..orchestrator import ModelSpec, Runtime, new_run_id
from .errors import say
from .job import COMMAND, PROCESS, this_process
from .options import alone, preflight
from .stopping import run_to_the_end

PURPOSE = "calibrate"
WARM_UP = "warm-up"
"""The node of the first call, which may find a server that still has to get ready, and is not counted."""
PROMPTS = (32, 128, 512, 1024, 2048)
"""Tokens of the prompts, as far as the model's context allows."""
SHORT, LONG = 8, 40
"""Tokens of the two answers between which a generated token is measured."""
IDS = range(3_000, 30_000)
"""Token ids that prompts are made of. Vocabularies keep control tokens before them (Tekken 0 to 999, Gemma its turn
marks 105 and 106, Falcon 3 some two thousand) or at their end, which is at 32,000 or later in all but small ones."""
ENDLESS = ("vllm", "llama.cpp")
"""Servers that know `ignore_eos`."""


class Measuring:
    """The calls of a calibration, one at a time, and their run in the ledger file."""

    def __init__(self, role: str, spec: ModelSpec, repeats: int, ledger: Ledger, database: Database) -> None:
        self.flow = alone(role, spec, name="calibrate")
        self.role, self.spec, self.repeats = role, spec, repeats
        self.ledger, self.database = ledger, database
        self.record = RunRecord(
            run=new_run_id(),
            flow=self.flow.name,
            text=self.flow.dump(),
            folder=str(self.flow.base.resolve()),
            inputs={COMMAND: PURPOSE, PROCESS: this_process()},
            started=time.time(),
        )

    def run(self) -> tuple[ServerFacts, Points, float]:
        """Ask everything and fit F and g to it; what it cost is in the ledger. Raises what opening and asking a model
        and `fit` raise; the run is then remembered as failed.
        """
        status = "cancelled"
        try:
            facts = run_to_the_end(self._ask())
            prefill, per_token = fit(call for call in self.ledger.calls if call.node != WARM_UP)
            status = "ok"
        except LaconicError:
            status = "failed"
            raise
        finally:
            if self.ledger.calls:
                self.database.save_run(msgspec.structs.replace(self.record, status=status, finished=time.time()))
        return facts, prefill, per_token

    async def _ask(self) -> ServerFacts:
        audit = Audit(self.ledger)
        async with Runtime(ledger=self.ledger, order="arrival", on_open=audit.include) as runtime, audit:
            facts = (await preflight([self.flow], runtime))[self.flow.name, self.role]
            calls = list(_calls(facts.context, self.repeats))
            model = await runtime.model(self.role, self.spec, beside=[self.spec])
            self.database.save_run(self.record)
            audit.keep(self.record.run)
            endless = facts.server in ENDLESS and facts.knows("ignore_eos", chat=False) is not False
            prompts = _prompts(self.record.run, _ids(facts.vocabulary_size))
            for number, (node, tokens, most) in enumerate(calls, 1):
                request = Request(
                    model=model.backend.model,
                    prompt_token_ids=next(prompts)[:tokens],
                    max_tokens=most,
                    extra={"ignore_eos": True} if endless else {},
                )
                owner = Owner(self.record.run, node)
                await runtime.meter.complete(model, request, owner=owner, purpose=PURPOSE)
                say(f"{number}/{len(calls)} {node}: {self.ledger.calls[-1].seconds:.3f} s")
        return facts


def _calls(context: int | None, repeats: int) -> Iterator[tuple[str, int, int]]:
    """Node, prompt tokens and most generated tokens of each call. The points take turns, so that a noisy moment does
    not fall on all calls of one. Raises InputError if the context is too small for any.
    """
    lengths = [tokens for tokens in PROMPTS if context is None or tokens + LONG <= context]
    if not lengths:
        raise InputError(f"a context of {context} tokens is too small to measure in; it takes {PROMPTS[0] + LONG}")
    middle = lengths[len(lengths) // 2]
    yield WARM_UP, lengths[0], SHORT
    for _ in range(repeats):
        for tokens in lengths:
            yield f"prompt-{tokens}", tokens, 1
        for most in (SHORT, LONG):
            yield f"answer-{most}", middle, most


def _ids(size: int | None) -> range:
    """`IDS`; in a vocabulary that is known to be smaller those that it has, and some before them if they are few."""
    end = IDS.stop if size is None else min(size, IDS.stop)
    return range(min(IDS.start, end // 4), end)


def _prompts(seed: str, ids: range) -> Iterator[tuple[int, ...]]:
    """Prompts no two of which begin alike, so that no cache has anything of one; others for each run."""
    draw = random.Random(seed)
    for first in draw.sample(ids, len(ids)):
        yield (first, *draw.choices(ids, k=PROMPTS[-1] - 1))
