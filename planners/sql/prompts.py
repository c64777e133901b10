"""The prompts of schema linking and of writing a query, as chat turns.

Every prompt begins with the same instruction and the schema, then says what is to be done, and ends with the question:
a server's prefix cache computes the schema once for all questions about it, and for every tier that asks one of them.
The wording is this project's own, chosen on a small local model.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ..exemplars import Turn

ABOUT = "You write {dialect} queries for this database:\n\n{schema}"

LINK = (
    "Which tables and columns does a query need that answers the question? Reply with JSON only: each table that is "
    'needed, with a list of its columns that are needed: {"name of a table": ["name of a column"]}.'
)

WRITE = "Write one query that answers the question, selecting only what is asked for. Reply with the query only."

DIVIDE = (
    "Think in at most four short lines: divide the question into parts, and say for each part which table, column or "
    "condition answers it. Then put the parts together in one query, in a ```sql block, selecting only what is asked "
    "for."
)

REPAIR = "Find the mistake, and reply with the corrected query only."

REPAIR_IN_PARTS = f"Find the mistake. {DIVIDE}"

EXAMPLES = (
    "Write {number} different questions about this database, each with the query that answers it: first a simple one, "
    "then with a join, with grouping, with a subquery. Write for each two lines:\nQuestion: ...\nSQL: ..."
)


class Example(NamedTuple):
    """A question about a database and the query that answers it."""

    question: str
    sql: str


class Asked(NamedTuple):
    """What a query is to answer, over which schema, and in which dialect of SQL."""

    question: str
    evidence: str
    schema: str
    dialect: str


def link_prompt(asked: Asked) -> list[Turn]:
    """Which tables and columns a question needs."""
    return [_about(asked), _asking(LINK, asked)]


def write_prompt(asked: Asked, *, divide: bool = False, examples: Sequence[Example] = ()) -> list[Turn]:
    """A query that answers the question: at once, or in parts that are put together."""
    shown = "".join(f"Question: {example.question}\nSQL: {example.sql}\n\n" for example in examples)
    instruction = DIVIDE if divide else WRITE
    return [_about(asked), _asking(f"{shown}{instruction}", asked)]


def examples_prompt(schema: str, dialect: str, number: int) -> list[Turn]:
    """Questions and queries for a schema. It holds no question: the same request for every question over a database."""
    about = _about(Asked("", "", schema, dialect))
    return [about, {"role": "user", "content": EXAMPLES.format(number=number)}]


def repair_prompt(asked: list[Turn], written: str, problem: str, *, divide: bool) -> list[Turn]:
    """The conversation continued: the query without the thoughts that led to it, and what became of it."""
    told = f"{problem}\n{REPAIR_IN_PARTS if divide else REPAIR}"
    answer = f"```sql\n{written}\n```" if written else "(no query)"
    return [*asked, {"role": "assistant", "content": answer}, {"role": "user", "content": told}]


def _about(asked: Asked) -> Turn:
    return {"role": "system", "content": ABOUT.format(dialect=asked.dialect, schema=asked.schema)}


def _asking(instruction: str, asked: Asked) -> Turn:
    hint = f"Hint: {asked.evidence}\n" if asked.evidence else ""
    return {"role": "user", "content": f"{instruction}\n\n{hint}Question: {asked.question}"}
