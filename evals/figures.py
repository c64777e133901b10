"""Figures: what the rows of a comparison add up to, flow by flow and against the first flow."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

import msgspec

from ..accounting.activation import Activated, Tokens, Work
from .rows import Row
from .statistics import Interval, percentile_interval, resampled_means, wilson


class Measured(msgspec.Struct, frozen=True):
    """A figure with its 95 % interval."""

    value: float
    interval: Interval


class Versus(msgspec.Struct, frozen=True, kw_only=True):
    """A flow against another on the items both have, paired item by item: this one minus the other."""

    other: str
    n: int
    f1: Measured
    em: Measured
    tokens: Measured
    """Difference of tokens an item."""
    ratio: Measured | None
    """All tokens of this flow over all tokens of the other; None if the other spent none."""
    prompt: Measured | None
    """The same of prompt tokens."""
    messages: Measured | None
    """The same of the tokens of messages; None if the other sent none."""


class FlowFigures(msgspec.Struct, frozen=True, kw_only=True):
    """One flow's figures. A failed item counts as wrong, and its tokens count."""

    flow: str
    n: int
    score: str = "text"
    """Name of the measure that `em` and `f1` are of."""
    em: Measured
    f1: Measured
    prompt: int
    cached: int
    completion: int
    total: int
    roles: dict[str, Tokens] = {}
    """What each role's model computed, where items are asked one by one."""
    activated: Activated | None = None
    """The parameters that this took; None where a flow does not say those of all its models."""
    tokens: Measured
    """Tokens an item, mean."""
    per_correct: float | None
    """All tokens over the number of exact answers; None without any."""
    per_f1: float | None
    """All tokens over the sum of F1; None if that is 0."""
    messages: Measured
    """Tokens of messages between agents an item, mean; 0 where no agents talk."""
    published: int
    """All tokens as the view `published:rewoo` sums them."""
    calls: int
    steps: float
    """Nodes that the answering node expanded into, or calls if it did not; mean."""
    seconds: float
    """Seconds an item, mean."""
    avoided: int
    failed: int
    budget: int
    unserved: int
    unknown: tuple[str, ...] = ()
    """Which of prompt, cached, completion are lower bounds."""
    estimated: int = 0
    outputs: dict[str, Measured] = {}
    """Means of the flow's other outputs, of those that are numbers."""
    versus: Versus | None = None

    def at_least(self, field: str) -> bool:
        """Whether a token figure is only a lower bound."""
        if field in ("prompt", "cached", "completion"):
            return field in self.unknown
        return bool({"prompt", "completion"} & set(self.unknown))


def summarise(rows: Mapping[str, Sequence[Row]]) -> list[FlowFigures]:
    """The figures of each flow, in the order given, each but the first against the first."""
    names = list(rows)
    return [_of(name, rows[name], None if i == 0 else (names[0], rows[names[0]])) for i, name in enumerate(names)]


def _of(name: str, rows: Sequence[Row], first: tuple[str, Sequence[Row]] | None) -> FlowFigures:
    n = len(rows)
    roles = _roles(rows)
    em, f1, total = [row.em for row in rows], [row.f1 for row in rows], [float(row.total) for row in rows]
    messages = [float(row.messages) for row in rows]
    drawn_f1, drawn_total, drawn_messages = resampled_means([f1, total, messages])
    spent, right, worth = sum(row.total for row in rows), sum(em), sum(f1)
    return FlowFigures(
        flow=name,
        n=n,
        score=rows[0].score if rows else "text",
        em=Measured(_mean(em), wilson(right, n)),
        f1=_measured(f1, drawn_f1),
        prompt=sum(row.prompt for row in rows),
        cached=sum(row.cached for row in rows),
        completion=sum(row.completion for row in rows),
        total=spent,
        roles=roles,
        activated=_activated(roles, rows),
        tokens=_measured(total, drawn_total),
        per_correct=spent / right if right else None,
        per_f1=spent / worth if worth else None,
        messages=_measured(messages, drawn_messages),
        published=sum(row.published for row in rows),
        calls=sum(row.calls for row in rows),
        steps=_mean([row.steps for row in rows]),
        seconds=_mean([row.seconds for row in rows]),
        avoided=sum(row.avoided for row in rows),
        failed=sum(row.status == "failed" for row in rows),
        budget=sum(row.status == "budget" for row in rows),
        unserved=sum(row.status == "unserved" for row in rows),
        unknown=tuple(
            field for field in ("prompt", "cached", "completion") if any(field in row.unknown for row in rows)
        ),
        estimated=sum(row.estimated for row in rows),
        outputs=_outputs(rows),
        versus=None if first is None else _versus(first[0], first[1], rows),
    )


def _roles(rows: Sequence[Row]) -> dict[str, Tokens]:
    if not all(row.roles for row in rows if row.calls or row.avoided):
        return {}  # rows that do not tell: of items that were asked together, or of an earlier version
    roles = sorted({role for row in rows for role in row.roles})
    return {role: sum((row.roles[role] for row in rows if role in row.roles), Tokens()) for role in roles}


def _activated(roles: Mapping[str, Tokens], rows: Sequence[Row]) -> Activated | None:
    known = {role: parameters for row in rows for role, parameters in row.parameters.items()}
    if not roles or not set(roles) <= set(known):
        return None
    works = tuple(Work.by(role, "", known[role], tokens) for role, tokens in roles.items())
    return Activated(models=works, router_parameters=max(row.router_parameters for row in rows))


def _outputs(rows: Sequence[Row]) -> dict[str, Measured]:
    """Means over the items that have them; an output that is not a number in one of them has no mean."""
    found = {}
    for name in dict.fromkeys(name for row in rows for name in row.outputs):
        values = [row.outputs[name] for row in rows if name in row.outputs]
        if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
            if any(abs(value) > sys.float_info.max for value in values):
                continue
            numbers = [float(value) for value in values]
            found[name] = _measured(numbers, resampled_means([numbers])[0])
    return found


def _versus(name: str, others: Sequence[Row], rows: Sequence[Row]) -> Versus | None:
    """This flow against the one called `name`; None if they have no item in common."""
    of_id = {row.id: row for row in others}
    pairs = [(row, of_id[row.id]) for row in rows if row.id in of_id]
    if not pairs:
        return None
    f1 = [mine.f1 - theirs.f1 for mine, theirs in pairs]
    em = [mine.em - theirs.em for mine, theirs in pairs]
    ours, theirs_total = [float(mine.total) for mine, _ in pairs], [float(theirs.total) for _, theirs in pairs]
    tokens = [a - b for a, b in zip(ours, theirs_total, strict=True)]
    read = [[float(row.prompt) for row in side] for side in zip(*pairs, strict=True)]
    sent = [[float(row.messages) for row in side] for side in zip(*pairs, strict=True)]
    drawn = resampled_means([f1, em, tokens, ours, theirs_total, *read, *sent])
    return Versus(
        other=name,
        n=len(pairs),
        f1=_measured(f1, drawn[0]),
        em=_measured(em, drawn[1]),
        tokens=_measured(tokens, drawn[2]),
        ratio=_ratio(ours, theirs_total, drawn[3], drawn[4]),
        prompt=_ratio(read[0], read[1], drawn[5], drawn[6]),
        messages=_ratio(sent[0], sent[1], drawn[7], drawn[8]),
    )


def _ratio(
    ours: Sequence[float], theirs: Sequence[float], drawn_ours: Sequence[float], drawn_theirs: Sequence[float]
) -> Measured | None:
    """One sum over the other; None where the other is nothing, or may be in a sample."""
    if not all(drawn_theirs):
        return None
    drawn = [a / b for a, b in zip(drawn_ours, drawn_theirs, strict=True)]
    return Measured(sum(ours) / sum(theirs), percentile_interval(drawn))


def _measured(values: Sequence[float], drawn: Sequence[float]) -> Measured:
    return Measured(_mean(values), percentile_interval(drawn) if drawn else Interval(0.0, 0.0))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
