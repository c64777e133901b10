"""`kind: text-to-sql`: a question about a database becomes a query that answers it.

One kind for the tiers of EllieSQL (Zhu et al. 2025, arXiv 2503.22402): one zero-shot call; divide and conquer with
execution feedback; and these with synthesised examples and votes by execution result.
"""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field

from ...errors import NodeError
from ...orchestrator import Context, ModelRole, Node, Template, ToolName, kind
from .attempt import executed
from .database import open_database
from .elect import elected
from .examples import synthesise
from .prompts import Asked, Example, write_prompt
from .writer import Writer


@kind("text-to-sql")
class TextToSQL(Node):
    """Write the query that answers a question; the value is its text, a SELECT or WITH statement.

    It is run, read-only, where `refine` or `votes` ask for it. Nothing else that a model writes is ever run.
    """

    question: Template = Field(description="What is asked.")
    evidence: Template = Field(default="", description="What one has to know to understand the question.")
    schema_text: Template = Field(
        alias="schema", description="The tables that may be used, as text: `schema` of a link-schema node."
    )
    db: ToolName = Field(default="db", description="The tool of kind sql that holds the database.")
    database: Template = Field(default="", description="Which database of the tool's folder.")
    model: ModelRole = Field(default="large", description="The role that writes.")
    dialect: str = Field(default="SQLite", description="The database's dialect of SQL, as the prompt names it.")
    divide: bool | Literal["repair"] = Field(
        default=False,
        description="Divide the question into parts before a query is written: every query, or, with `repair`, only "
        "one that is written again, which suits small models.",
    )
    examples: int = Field(default=0, ge=0, le=20, description="How many examples for this schema to have written.")
    refine: int = Field(
        default=0, ge=0, le=10, description="How often a query that fails or finds nothing may be written again."
    )
    votes: int = Field(
        default=1,
        ge=1,
        le=99,
        description="How many queries may be written; the largest group with the same result wins, the first of equal "
        "ones, so two are no more than one. No more are asked for than it takes to know the winner.",
    )
    max_tokens: int = Field(default=400, ge=1, description="Most tokens of an answer.")

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    async def run(self, ctx: Context) -> str:
        """Calls of purpose `examples`, `draft`, `repair`, `vote`; children `vote2`, `vote3`, ... for the votes.

        Raises NodeError if the model wrote no query, SQLFailed if there is no such database.
        """
        database = open_database(ctx, self.db, ctx.text(self.database))
        asked = Asked(ctx.text(self.question), ctx.text(self.evidence), ctx.text(self.schema_text), self.dialect)
        shown: list[Example] = []
        if self.examples:
            shown = await synthesise(ctx, database, self.model, self.dialect, self.examples)
        prompt = write_prompt(asked, divide=self.divide is True, examples=shown)
        writer = Writer(ctx, database, prompt, self.model, self.max_tokens, divide=bool(self.divide))
        attempt = await writer.write("draft")
        if self.refine or self.votes > 1:
            attempt = await writer.repaired(await executed(database, attempt), self.refine)
        if self.votes > 1:
            attempt = await elected(writer, attempt, self.votes)
        if not attempt.sql:
            raise NodeError(f"the model wrote no query. {attempt.problem}", path=ctx.path)
        if attempt.problem:
            ctx.note(f"no better query was found: {attempt.problem}")
        return attempt.sql
