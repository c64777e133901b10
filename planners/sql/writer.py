"""Writer: asks for queries that answer one question, and again for those that do not work."""

from __future__ import annotations

from typing import Any

import msgspec

from ...orchestrator import Context
from ...tools.sql.database import Database
from ..exemplars import Turn
from .attempt import SHOWN, Attempt, executed
from .prompts import repair_prompt
from .written import read_query

STOP = ("```\n\n",)
"""Where an answer ends: an empty line behind a code block. What is explained there would be paid for and not read."""


class Writer(msgspec.Struct, frozen=True):
    """Who is asked for a query, in which words, and where it runs. `max_tokens` are those of one answer."""

    ctx: Context
    database: Database
    prompt: list[Turn]
    model: str
    max_tokens: int
    divide: bool = False
    """Whether a query that is written again is written in parts."""

    async def write(self, purpose: str, prompt: list[Turn] | None = None, **sampling: Any) -> Attempt:
        """One call, and the query in its answer, which is not run."""
        said = await self.ctx.complete(
            prompt or self.prompt,
            model=self.model,
            purpose=purpose,
            max_tokens=self.max_tokens,
            stop=STOP,
            **sampling,
        )
        if sql := read_query(said.text):
            return Attempt(sql)
        if said.finish_reason == "length":
            self.ctx.note(f"an answer was cut off at {self.max_tokens} tokens; give it more max_tokens")
        return Attempt("", problem=f"There is no complete SELECT in this: {said.text.strip()[:SHOWN]!r}")

    async def repaired(self, attempt: Attempt, times: int) -> Attempt:
        """An attempt that was run, or a better one: asked for at most `times`, until one gives rows.

        Each is a call of purpose `repair`, which is shown the query and the problem. It ends early when the model
        writes a query that it was told about before.
        """
        best, told = attempt, {attempt.sql}
        for _ in range(times):
            if not attempt.problem:
                break
            self.ctx.note(f"asked for a better query: {attempt.problem}")
            asked = repair_prompt(self.prompt, attempt.sql, attempt.problem, divide=self.divide)
            attempt = await executed(self.database, await self.write("repair", asked))
            if attempt.sql and attempt.sql in told:
                break
            told.add(attempt.sql)
            best = max(best, attempt, key=lambda one: one.worth)
        return best
