"""Answering: what one flow makes of an item, or of all items at once, as rows."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from msgspec.structs import astuple, replace

from ..accounting.budget import BudgetScope
from ..accounting.totals import Total
from ..errors import BackendError, LaconicError, NodeError
from ..orchestrator import Flow, Result, Runtime
from ..orchestrator.template import tree_references
from ..planners.batch.answers import Answers, Share, split
from ..routers.routed import Routed
from .contestant import Contestant
from .data import Item
from .rows import Row, tokens_of, tokens_of_share, unknown_of
from .scoring import Scorer, Scores

MOST_CHARS = 1000
"""Longest output, written as JSON, that a row keeps beside the answer."""


@dataclass(frozen=True)
class Asked:
    """A flow and what it is asked in one run: an item, or all of them."""

    contestant: Contestant
    items: tuple[Item, ...]

    def keys(self, scorer: Scorer) -> list[tuple[str, str]]:
        """Id and key of the rows that come of it."""
        keys = self.contestant.keys(self.items, scorer)
        return [(item.id, key) for item, key in zip(self.items, keys, strict=True)]


async def answer(
    asked: Asked, runtime: Runtime, scorer: Scorer, scope: BudgetScope | None = None
) -> tuple[list[Row], LaconicError | None]:
    """A row for each item, and the error that ended the run, if one did."""
    contestant, items = asked.contestant, asked.items
    started = time.perf_counter()
    together = contestant.together(items)
    inputs = {together: contestant.list_of(items, scorer)} if together else contestant.inputs(items[0])
    item = "" if together else items[0].id
    result = await contestant.flow.run(inputs, runtime=runtime, run_id=contestant.run, item=item, scope=scope)
    seconds = time.perf_counter() - started
    keys = [key for _, key in asked.keys(scorer)]
    if not together:
        row = await _row(contestant, items[0], keys[0], scorer, result, seconds, result.outputs.get(contestant.output))
        return [row], result.error
    return await _rows(contestant, items, keys, scorer, result, seconds / len(items))


async def _row(
    contestant: Contestant, item: Item, key: str, scorer: Scorer, result: Result, seconds: float, said: Any
) -> Row:
    judged = await _judged(contestant, item, key, scorer, said, stands=result.status == "ok")
    ledger = result.ledger
    return replace(
        judged,
        outputs=_small({name: value for name, value in result.outputs.items() if name != contestant.output}),
        status=_status(result.error, result),
        published=ledger.view("published:rewoo").total.total,
        messages=ledger.view("published:optima").total.completion,
        seconds=seconds,
        steps=_children(contestant.flow, contestant.output, result) or ledger.total().calls,
        error="" if result.error is None else str(result.error),
        parameters={role: spec.parameters * 1e9 for role, spec in contestant.flow.models.items() if spec.parameters},
        router_parameters=said.router_parameters if isinstance(said, Routed) else 0,
        **tokens_of(ledger.calls),
    )


async def _judged(contestant: Contestant, item: Item, key: str, scorer: Scorer, said: Any, *, stands: bool) -> Row:
    """The row of an answer, without what it cost; an answer that does not stand is worth nothing."""
    text = _text(said)
    scores = await scorer.scores(item, text) if stands else Scores(0.0, 0.0)
    return Row(
        flow=contestant.name,
        id=item.id,
        key=key,
        run=contestant.run,
        group=item.group,
        answer=text,
        gold=tuple(scorer.gold(item)),
        score=scorer.measure.name,
        em=scores.exact,
        f1=scores.partial,
        finished=time.time(),
    )


async def _rows(
    contestant: Contestant, items: Sequence[Item], keys: Sequence[str], scorer: Scorer, result: Result, seconds: float
) -> tuple[list[Row], LaconicError | None]:
    """The rows of items that were asked together: each with its share of what all of them cost."""
    error = result.error
    answers = result.outputs.get(contestant.output)
    if not isinstance(answers, list) or len(answers) != len(items):
        what = f"a list of {len(answers)}" if isinstance(answers, list) else type(answers).__name__
        error = error or NodeError(
            f"the flow was given {len(items)} items and must answer with a list as long, not with {what}"
        )
        answers = [None] * len(items)
    details = answers.details if isinstance(answers, Answers) else []
    spent = Total.of(result.ledger.calls, virtual=True)
    shares = whole_shares(spent, [detail.share for detail in details] or [Share()] * len(items))
    published = split(result.ledger.view("published:rewoo").total.total, len(items))
    reused = result.ledger.total()
    avoided = split(reused.avoided_prompt + reused.avoided_completion, len(items))
    rows = []
    for place, (item, key) in enumerate(zip(items, keys, strict=True)):
        said = answers[place]
        # What a budget cut short has the answers that there are; any other failure has none that counts.
        stands = error is None or (result.status == "budget" and said is not None)
        judged = await _judged(contestant, item, key, scorer, said, stands=stands)
        rows.append(
            replace(
                judged,
                status="ok" if stands else _status(error, result),
                published=published[place],
                seconds=seconds,
                together=len(items),
                steps=details[place].rounds if details else 0,
                error="" if stands else str(error),
                **tokens_of_share(
                    shares[place],
                    avoided=avoided[place],
                    unknown=unknown_of(spent),
                    estimated=spent.estimated if place == 0 else 0,
                ),
            )
        )
    return rows, error


def _status(error: BaseException | None, result: Result) -> str:
    return "unserved" if unserved(error) else result.status if error is result.error else "failed"


def _text(said: Any) -> str:
    """An answer as it is compared."""
    if isinstance(said, str):
        return str(said)  # plain, whatever kind of text a node gave: rows are JSON
    return "" if said is None else json.dumps(said, ensure_ascii=False, default=str)


def whole_shares(spent: Total, shares: Sequence[Share]) -> list[Share]:
    """The shares with what no item accounts for, such as the calls of other nodes, spread evenly: they add up."""
    whole = Share(spent.prompt, spent.cache_read, spent.completion, spent.sent)
    rests = [split(all - sum(parts), len(shares)) for all, parts in zip(astuple(whole), _columns(shares), strict=True)]
    return [
        Share(*(part + rest for part, rest in zip(astuple(share), more, strict=True)))
        for share, more in zip(shares, zip(*rests, strict=True), strict=True)
    ]


def _columns(shares: Sequence[Share]) -> list[tuple[int, ...]]:
    return list(zip(*map(astuple, shares), strict=True))


def unserved(error: BaseException | None) -> bool:
    """Whether an item failed because of the server: asking again may give an answer."""
    while error is not None:
        if isinstance(error, BackendError):
            return error.retryable
        error = error.__cause__
    return False


def _small(values: Mapping[str, Any]) -> dict[str, Any]:
    """Those values that JSON can hold in a few characters."""
    found = {}
    for name, value in values.items():
        with suppress(TypeError, ValueError):
            written = json.dumps(value, ensure_ascii=False, allow_nan=False)
            if len(written) <= MOST_CHARS:
                found[name] = json.loads(written)
    return found


def _children(flow: Flow, output: str, result: Result) -> int:
    """How many nodes the nodes behind the answer expanded into."""
    roots = tuple(f"{name}/" for name in tree_references(flow.outputs[output]))
    return sum(1 for record in result.nodes if record.path.startswith(roots) and record.status != "cancelled")
