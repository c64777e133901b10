"""Execution accuracy: whether two queries give the same result, as the official scripts of Spider and BIRD see it.

They differ:

| | Spider | BIRD |
|---|---|---|
| how often a row comes | counts | does not count |
| the order of rows | counts if the gold query says ORDER BY | never counts |
| the order of columns | does not count | counts |
| DISTINCT | taken out of both queries before they run | stays |

Both hold 1 and 1.0 for equal, and text only if it is the same to the letter. Spider's script can run both queries on
many variants of a database (test suites); here they run on the one that is there.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from ..tools.sql.table import Table

_TORN = re.compile(r"([<>!]) =")


def spider_equal(gold: Table, said: Table, *, ordered: bool) -> bool:
    """Whether the results are the same for Spider's script (`exec_eval.py`, Zhong et al. 2020, arXiv 2010.02840).

    Some order of the columns has to make the rows the same, each as often; in the same order if `ordered`. Two results
    without rows are the same.
    """
    if not gold.rows and not said.rows:
        return True
    if len(gold.rows) != len(said.rows) or len(gold.rows[0]) != len(said.rows[0]):
        return False
    theirs, ours = list(zip(*gold.rows, strict=True)), list(zip(*said.rows, strict=True))
    if ordered:
        return Counter(theirs) == Counter(ours)
    return _columns_fit(theirs, ours)


def bird_equal(gold: Table, said: Table) -> bool:
    """Whether the results are the same for BIRD's script (`evaluation_ex.py`, Li et al. 2023, arXiv 2305.03111).

    They are compared as sets of rows.
    """
    return set(gold.rows) == set(said.rows)


def orders(sql: str) -> bool:
    """Whether the order of a gold query's rows counts for Spider's script: it says ORDER BY anywhere."""
    return "order by" in sql.lower()


def as_spider_runs(sql: str) -> str:
    """The query as Spider's script runs it: without DISTINCT, and with `> =` made the operator that was meant."""
    sql = _TORN.sub(r"\1=", sql)
    kept, end = [], 0
    for first, last in _distincts(sql):
        kept.append(sql[end:first])
        end = last + 1
    return "".join([*kept, sql[end:]])


def _columns_fit(theirs: list[tuple[object, ...]], ours: list[tuple[object, ...]]) -> bool:
    """Whether `ours` can be put in an order in which its rows are those of `theirs`, each as often."""
    chosen: list[int] = []

    def fits(column: int) -> bool:
        if column == len(theirs):
            return True
        # Rows cut off behind this column must be the same already; few orders of the columns get past that. Of columns
        # that are alike, one is tried.
        wanted = Counter(zip(*theirs[: column + 1], strict=True))
        left = {values: place for place, values in enumerate(ours) if place not in chosen}
        for place in left.values():
            chosen.append(place)
            if Counter(zip(*(ours[one] for one in chosen), strict=True)) == wanted and fits(column + 1):
                return True
            chosen.pop()
        return False

    return fits(0)


def _distincts(sql: str) -> Iterator[tuple[int, int]]:
    """Where the word DISTINCT stands, but for `IS [NOT] DISTINCT FROM`; nowhere if the text is no SQL."""
    from sqlglot import Dialect
    from sqlglot.errors import SqlglotError

    try:
        tokens = Dialect.get_or_raise("sqlite").tokenize(sql)
    except SqlglotError:
        return
    for before, token in zip([None, *tokens], tokens, strict=False):
        compares = before is not None and before.token_type.name in ("IS", "NOT")
        if token.token_type.name == "DISTINCT" and not compares:
            yield token.start, token.end
