"""The query in what a model wrote: a SELECT or WITH statement, out of code fences, prose and other statements.

Only text is looked at; whether the query may run and does run is the database's business. Of several statements the
last complete one counts: a chain of thought ends with its answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_FENCE = re.compile(r"```[ \t]*(?!(?:SELECT|WITH)\b)\w*[ \t]*\n?(.*?)(?:```|\Z)", re.DOTALL | re.IGNORECASE)
_NAME = r"(?:\w+|\"[^\"]*\"|`[^`]*`|\[[^\]]*\])"
_WITH = rf"WITH\s+(?:RECURSIVE\s+)?{_NAME}\s*(?:\([^()]*\)\s*)?AS\s*(?:NOT\s+MATERIALIZED\s*|MATERIALIZED\s*)?\("
_SELECT = r"\b(?=\s*[^\s;)])"
_START = rf"(?:SELECT{_SELECT}|{_WITH})"
_COMMENT = r"--[^\n]*|/\*.*?\*/"
_IN_CODE = re.compile(rf"{_COMMENT}|(?<![\w.])({_START})", re.IGNORECASE | re.DOTALL)
_AT_LINE = re.compile(rf"(?:^[\s>*-]*|[:`][\s*]*)((?-i:SELECT|select){_SELECT}|{_WITH})", re.IGNORECASE | re.MULTILINE)
_IN_PROSE = re.compile(rf"(?<!\w)({_START})")
_GOES_ON = re.compile(
    r"\s*(?:[(),]|--|/\*|(?:SELECT|FROM|WHERE|GROUP|HAVING|ORDER|LIMIT|OFFSET|UNION|INTERSECT|EXCEPT|WINDOW|AND|OR|ON"
    r"|(?:LEFT|RIGHT|FULL|INNER|CROSS|NATURAL)?\s*(?:OUTER\s+)?JOIN)\b)",
    re.IGNORECASE,
)
_BEYOND = re.compile(r";|\n\n")
_SKIPPED = re.compile(
    r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|`[^`]*`|\[[^\]\n]*\]|" + _COMMENT,
    re.DOTALL,
)
"""What is passed over as a whole: text and names in quotes, comments."""


def read_query(text: str) -> str:
    """The last complete SELECT or WITH statement in `text`, without its semicolon; empty if there is none.

    Code fences go before everything else; what stands outside of them must begin a line, or follow a colon or a
    backtick, and only where nothing does may it stand in the middle of a sentence, in capitals.
    """
    for block in reversed(_FENCE.findall(text)):
        if found := _last(block, _IN_CODE, prose=False):
            return found
    prose = _FENCE.sub("\n\n", text)
    return _last(prose, _AT_LINE, prose=True) or _last(prose, _IN_PROSE, prose=True)


def _last(text: str, start: re.Pattern[str], *, prose: bool) -> str:
    return next(reversed([*_statements(text, start, prose=prose)]), "")


def _statements(text: str, start: re.Pattern[str], *, prose: bool) -> Iterator[str]:
    """The complete statements of `text`, in their order."""
    position = 0
    while match := start.search(text, position):
        if match[1] is None:  # a comment, which may hold a statement: thoughts are written there
            position = match.end()
            continue
        begin = match.start(1)
        end = _end(text, begin, prose=prose)
        if end is None:  # nor is anything inside it a statement of its own
            beyond = _BEYOND.search(text, match.end())
            position = beyond.end() if beyond else len(text)
            continue
        yield text[begin:end].strip()
        position = end


def _end(text: str, begin: int, *, prose: bool) -> int | None:
    """Where the statement ends that begins there; None if a bracket or quotation mark in it stays open."""
    quoted = prose and text[begin - 1 : begin] == "`"
    depth, position = 0, begin
    while position < len(text):
        character = text[position]
        if quoted and character == "`":
            break
        if skipped := _SKIPPED.match(text, position):
            position = skipped.end()
            continue
        if character in "'\"":
            return None
        if character == "(":
            depth += 1
        elif character == ")":
            depth -= 1
            if depth < 0:
                return None
        elif depth == 0 and (
            character == ";" or (prose and text.startswith("\n\n", position) and not _GOES_ON.match(text, position))
        ):
            break
        position += 1
    return position if depth == 0 else None
