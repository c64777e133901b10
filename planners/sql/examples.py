"""Synthesised examples: questions and queries about a schema, written by the model, of which those that run are kept.

After the online synthesis of examples in CHASE-SQL (Pourreza et al. 2024, arXiv 2410.01943). The request for them holds
no question, only the whole schema: it is the same for every question over a database, and with a store it is paid for
once.
"""

from __future__ import annotations

import re

from ...orchestrator import Context
from ...tools.sql.database import Database
from .attempt import Attempt, executed
from .database import SCHEMA_TOKENS
from .prompts import Example, examples_prompt
from .written import read_query

EXAMPLE_TOKENS = 80
"""Most tokens of one example."""

_QUESTION = re.compile(r"^[\s>*#-]*(?:\d+[.)]\s*)?[*_]*question(?:\s*\d+)?[*_]*\s*:[*_]*", re.IGNORECASE | re.MULTILINE)


async def synthesise(ctx: Context, database: Database, model: str, dialect: str, number: int) -> list[Example]:
    """At most `number` examples, each of which gives rows; one call, purpose `examples`. Raises SQLFailed."""
    schema = (await database.schema()).text(SCHEMA_TOKENS)
    prompt = examples_prompt(schema, dialect, number)
    said = await ctx.complete(prompt, model=model, purpose="examples", max_tokens=EXAMPLE_TOKENS * number)
    written = read_examples(said.text)[:number]
    kept = [example for example in written if not (await executed(database, Attempt(example.sql))).problem]
    if len(kept) < number:
        ctx.note(f"of {number} examples {len(kept)} can be shown; the others were not written, or give no rows")
    return kept


def read_examples(text: str) -> list[Example]:
    """The questions in a model's answer that have a query behind them."""
    examples = []
    for block in _QUESTION.split(text)[1:]:
        question, _, rest = block.strip().partition("\n")
        sql = read_query(rest)
        if question.strip() and sql:
            examples.append(Example(question.strip(" *"), sql))
    return examples
