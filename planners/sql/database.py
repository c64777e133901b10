"""The database that a node of text-to-SQL names, from the flow's tool of kind sql."""

from __future__ import annotations

from ...errors import NodeError
from ...orchestrator import Context
from ...tools.sql.database import Database
from ...tools.sql.tool import SQL

SCHEMA_TOKENS = 3000
"""About the most tokens of schema that a prompt holds, where a node does not say."""


def open_database(ctx: Context, tool: str, name: str) -> Database:
    """The database `name` of the flow's tool `tool`. Raises NodeError, and SQLFailed if there is none."""
    found = ctx.tools[tool]
    if not isinstance(found, SQL):
        raise NodeError(f"db: {tool} is a tool of kind {found.kind}; name one of kind sql", path=ctx.path)
    return found.open(name)
