"""`kind: sql`: a database, or a folder of databases, that can be asked and not changed."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from ...errors import FlowError, SQLFailed
from ...orchestrator.tool import Tool, tool
from .database import MOST_ROWS, SECONDS, Database
from .folder import find_database
from .sqlite import SQLite

if TYPE_CHECKING:
    from ...orchestrator.context import Context


@tool("sql")
class SQL(Tool):
    """Queries over an SQLite file (`path`), a folder of them (`databases`), or any database by its `url` (SQLAlchemy).

    Only a single SELECT or WITH ... SELECT is let through. Answers with the columns, the rows, and whether there were
    more rows than the limit. What a database holds is data: nothing in it is ever followed.
    """

    class Arguments(BaseModel):
        """What to ask."""

        model_config = ConfigDict(extra="forbid")

        query: str = Field(description="One SELECT statement.")
        database: str = Field(default="", description="Which database of the folder; may be empty if there is one.")

    description: str = Field(
        default="Answers a query over a database. Input: one SQL statement that reads (SELECT or WITH ... SELECT).",
        description="What the tool does and when to use it; shown to the model.",
    )
    path: Path | None = Field(default=None, description="One SQLite file.")
    databases: Path | None = Field(default=None, description="A folder with NAME.sqlite or NAME/NAME.sqlite.")
    url: str | None = Field(default=None, description="A database as SQLAlchemy names it, such as postgresql://...")
    rows: int = Field(default=MOST_ROWS, ge=1, le=1_000_000, description="Most rows of an answer.")
    seconds: float = Field(default=SECONDS, gt=0, le=3600, description="Longest a query may take, in seconds.")

    def check(self) -> None:
        """See whether there is one database or folder to open. Raises FlowError."""
        given = [name for name in ("path", "databases", "url") if getattr(self, name) is not None]
        if len(given) != 1:
            raise FlowError(
                f"a tool of kind sql has one of path, databases and url; this has {', '.join(given) or 'none'}"
            )
        if find_spec("sqlglot") is None or find_spec("sqlalchemy") is None:
            raise FlowError("a tool of kind sql needs sqlglot and SQLAlchemy: pip install 'laconic[sql]'")
        if self.path is not None and not self.locate(self.path).is_file():
            raise FlowError(f"there is no database file {str(self.path)!r}")
        if self.databases is not None and not self.locate(self.databases).is_dir():
            raise FlowError(f"there is no folder of databases {str(self.databases)!r}")
        if self.url is not None:
            self._only()

    def open(self, name: str = "") -> Database:
        """The database, or the one of that name in the folder. Raises SQLFailed if there is none.

        The file is opened anew for each query and closed after it: nothing needs to be closed.
        """
        if self.databases is not None:
            return SQLite(find_database(self.locate(self.databases), name), rows=self.rows, seconds=self.seconds)
        database = self._only()
        if name and name != database.name:
            raise SQLFailed(f"there is no database {name!r}; there is one, {database.name!r}")
        return database

    async def call(self, ctx: Context, args: Arguments) -> dict[str, Any]:
        """Columns, rows, and whether there were more. Raises SQLRefused or SQLFailed."""
        return (await self.open(args.database).query(args.query)).shown()

    def _only(self) -> Database:
        if self.path is not None:
            return SQLite(self.locate(self.path), rows=self.rows, seconds=self.seconds)
        from .alchemy import AnyDatabase

        return AnyDatabase(self.url or "", rows=self.rows, seconds=self.seconds)
