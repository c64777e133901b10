"""`kind: link-schema`: which tables and columns a question needs, asked once for everything that comes after it.

After EllieSQL (Zhu et al. 2025, arXiv 2503.22402), where all tiers share one schema linking and the router reads how
many tables and columns it found.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import Field

from ...errors import BackendError
from ...orchestrator import Context, ModelRole, Node, Template, ToolName, kind
from .database import SCHEMA_TOKENS, open_database
from .prompts import Asked, link_prompt

LINKED: dict[str, Any] = {
    "type": "object",
    "additionalProperties": {"type": "array", "items": {"type": "string"}},
}
"""JSON Schema of a linking: table -> columns. Names are free, so that the model may write them in any order."""


@kind("link-schema")
class LinkSchema(Node):
    """Ask which tables and columns a question needs.

    The value is a mapping: `schema`, the text of the linked tables with all their columns; `tables`, their names;
    `columns`, how many of their columns were named; `joins`, how many foreign keys there are between them. What the
    database does not have is ignored. Where the model names nothing that it has, fails, or writes no JSON, every table
    is linked.
    """

    question: Template = Field(description="What is asked.")
    evidence: Template = Field(default="", description="What one has to know to understand the question.")
    db: ToolName = Field(default="db", description="The tool of kind sql that holds the database.")
    database: Template = Field(default="", description="Which database of the tool's folder.")
    model: ModelRole = Field(default="large", description="The role that links.")
    dialect: str = Field(default="SQLite", description="The database's dialect of SQL, as the prompt names it.")
    schema_tokens: int = Field(
        default=SCHEMA_TOKENS, ge=50, description="About how many tokens of schema a prompt may hold."
    )
    max_tokens: int = Field(default=160, ge=1, description="Most tokens of the answer.")

    async def run(self, ctx: Context) -> dict[str, Any]:
        """One call, purpose `link`. Raises SQLFailed if the database cannot be read."""
        whole = await open_database(ctx, self.db, ctx.text(self.database)).schema()
        question, evidence = ctx.text(self.question), ctx.text(self.evidence)
        asked = Asked(question, evidence, whole.text(self.schema_tokens), self.dialect)
        everything = {table.name: [column.name for column in table.columns] for table in whole.tables}
        linked = await self._linked(ctx, asked, everything) or everything
        part = whole.only({table: everything[table] for table in linked})
        return {
            "schema": part.text(self.schema_tokens),
            "tables": [table.name for table in part.tables],
            "columns": sum(map(len, linked.values())),
            "joins": sum(len(table.foreign_keys) for table in part.tables),
        }

    async def _linked(self, ctx: Context, asked: Asked, there: Mapping[str, list[str]]) -> dict[str, list[str]]:
        """What the model names of what is there; nothing, with a note, if that is nothing."""
        try:
            said = await ctx.complete(
                link_prompt(asked), model=self.model, purpose="link", max_tokens=self.max_tokens, schema=LINKED
            )
        except BackendError as error:
            ctx.note(f"linked every table, because the model could not be asked: {error}")
            return {}
        linked = read_linking(said.text, there)
        if not linked:
            ctx.note(f"linked every table, because none of them is named in {said.text.strip()[:80]!r}")
        return linked


def read_linking(text: str, there: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """The tables and columns that a model's JSON names, spelled and ordered as `there`; the rest of it is ignored.

    A table may be a key, or stand in a list under any other key; a column may be written as `column`, in the list of
    its table, or as `table.column` anywhere.
    """
    named: dict[str, set[str]] = {}
    tables = {table.lower() for table in there}
    for key, values in _json_object(text).items():
        under = key.lower() if key.lower() in tables else ""
        if under:
            named.setdefault(under, set())
        for value in map(str, values if isinstance(values, list) else [values]):
            table, _, column = value.lower().rpartition(".")
            if table in tables or under:
                named.setdefault(table if table in tables else under, set()).add(column)
            elif column in tables:
                named.setdefault(column, set())
    return {
        table: [column for column in columns if column.lower() in named[table.lower()]]
        for table, columns in there.items()
        if table.lower() in named
    }


def _json_object(text: str) -> dict[str, Any]:
    """The first JSON object in `text`; an empty one if there is none."""
    try:
        found, _ = json.JSONDecoder().raw_decode(text, text.find("{"))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
