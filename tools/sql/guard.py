"""Guard: what statements are let through to a database. One query that only reads, or a refusal that says why.

The parser (sqlglot, in the dialect of the database) decides, not a search for words: a column may be named "delete" and
a text may hold "; DROP TABLE". It is the first wall of several; behind it the database itself is opened so that it
cannot be written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...errors import SQLRefused

if TYPE_CHECKING:
    from sqlglot.expressions import Expr, Func, Query
    from sqlglot.tokenizer_core import Token

MOST_CHARS = 20_000
"""Longest statement, in characters."""

_FUNCTIONS = frozenset(
    {
        "benchmark",
        "edit",
        "fts3_tokenizer",
        "get_lock",
        "load_extension",
        "load_file",
        "nextval",
        "query_to_xml",
        "readfile",
        "setval",
        "set_config",
        "sleep",
        "sqlite_log",
        "writefile",
    }
)
_FAMILIES = ("dblink", "dbms_", "lo_", "pg_", "sys_", "utl_", "xp_")
"""Beginnings of the names of functions that reach out of a database (files, other servers) or into its server."""


def only_reads(sql: str, dialect: str) -> Query:
    """The parsed statement, if it is one SELECT, WITH ... SELECT or a set operation of them, and nothing in it writes.

    `dialect` is a name that sqlglot knows. Raises SQLRefused with the reason.
    """
    from sqlglot import Dialect
    from sqlglot.errors import SqlglotError

    _must_be_plain_text(sql)
    spoken = Dialect.get_or_raise(dialect)
    try:
        _must_be_one_select(spoken.tokenize(sql))
        (statement,) = (parsed for parsed in spoken.parse(sql) if parsed is not None)
    except SqlglotError as error:
        raise SQLRefused(f"the statement does not parse as {dialect}: {_reason(error)}") from None
    except RecursionError:
        raise SQLRefused("the statement is nested too deeply") from None
    return _must_only_read(statement)


def may_be_called(function: str) -> bool:
    """Whether a function does nothing but compute."""
    name = function.lower()
    return name not in _FUNCTIONS and not name.startswith(_FAMILIES)


def _must_be_plain_text(sql: str) -> None:
    if not sql.strip():
        raise SQLRefused("there is no statement: the text is empty")
    if len(sql) > MOST_CHARS:
        raise SQLRefused(f"the statement has {len(sql):,} characters; at most {MOST_CHARS:,} are let through")
    if "\0" in sql:
        raise SQLRefused("the statement holds a null character")
    try:
        sql.encode()
    except UnicodeEncodeError:
        raise SQLRefused("the statement holds half a character (a lone surrogate)") from None


def _must_be_one_select(tokens: list[Token]) -> None:
    kinds = [token.token_type.name for token in tokens]
    while kinds and kinds[-1] == "SEMICOLON":
        kinds.pop()
    if not kinds:
        raise SQLRefused("there is no statement, only comments")
    if "SEMICOLON" in kinds:
        raise SQLRefused("more than one statement; send one SELECT at a time")
    if kinds[0] not in ("SELECT", "WITH", "L_PAREN"):
        raise SQLRefused(f"only SELECT (or WITH ... SELECT) is let through; this begins with {tokens[0].text[:30]!r}")


def _must_only_read(statement: Expr) -> Query:
    from sqlglot import exp

    for node in statement.walk():
        if isinstance(node, (exp.DML, exp.DDL, exp.Command, exp.Into, exp.Lock)):
            raise SQLRefused(f"only reading is let through; this holds {node.key.upper()}")
        if isinstance(node, exp.Func) and not may_be_called(_function(node)):
            raise SQLRefused(f"the function {_function(node)} may not be called")
    if not isinstance(statement, exp.Query):
        raise SQLRefused(f"only SELECT (or WITH ... SELECT) is let through; this is {statement.key.upper()}")
    return statement


def _function(node: Func) -> str:
    from sqlglot import exp

    return node.name if isinstance(node, exp.Anonymous) else node.sql_name()


def _reason(error: Exception) -> str:
    """The parser's complaint without the colours in which it marks the place."""
    details = getattr(error, "errors", None)
    if not details:
        return " ".join(str(error).split())
    first = details[0]
    near = f"{first.get('start_context') or ''}{first.get('highlight') or ''}".strip()[-60:]
    complaint = first.get("description", "").partition(" but got")[0].rstrip(".")
    return f"{complaint} at line {first.get('line')}, after {near!r}"
