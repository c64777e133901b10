"""Outcomes from the rows of a comparison: several flows answered the same items, and each flow is a tier."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ..errors import InputError
from ..orchestrator.registry import nearest
from ..routers.outcomes import Outcome, tiers_of
from .data import Item, lacks
from .outcome_files import ItemFields, with_every_feature
from .routing_policies import Policy
from .rows import Row, by_flow


class FromRows(NamedTuple):
    """What rows say of tiers, and of flows that are none."""

    outcomes: list[Outcome]
    others: list[Policy]
    """What the flows that are no tiers, such as a cascade, made of the same items."""
    left_out: int
    """Items that not every flow has answered."""


def outcomes_of_rows(
    rows: Sequence[Row], items: Sequence[Item], fields: ItemFields, tiers: Sequence[str] = ()
) -> FromRows:
    """Outcomes of the items that every flow has answered.

    Rows have no texts: `items` are those that were compared. A feature that an item does not have is taken from what
    the cheapest tier put out beside its answer. A flow's answer is right as far as it matches exactly. `tiers` names
    flows that are tiers, from the cheapest to the dearest; if it is empty all are, in the order of mean tokens.
    Raises InputError for fewer than two tiers, and for rows whose item, or a field of it, is missing.
    """
    flows = {name: {row.id: row for row in found if row.answered} for name, found in by_flow(rows).items()}
    for tier in tiers:
        if tier not in flows:
            raise InputError(f"there are no rows of the flow {tier!r}{nearest(tier, list(flows))}")
    tiers = tiers or sorted(
        flows, key=lambda flow: sum(r.total for r in flows[flow].values()) / max(1, len(flows[flow]))
    )
    if len(tiers) < 2:
        raise InputError(f"there are rows of {', '.join(flows) or 'no flow'}; a router needs two tiers or more")
    known = {item.id: item for item in items}
    ids = list(dict.fromkeys(id for found in flows.values() for id in found))
    answered = [id for id in ids if all(id in found for found in flows.values())]
    outcomes = []
    for id in answered:
        if id not in known:
            raise InputError(f"the item {id!r} of the rows is not in the data; --data names what was compared")
        seen = {**flows[tiers[0]][id].outputs, **known[id].fields}
        complaint = lacks(seen, fields.needed())
        if complaint:
            raise InputError(f"the item {id!r}: {complaint}")
        outcomes.append(
            Outcome(
                id=id,
                right={tier: flows[tier][id].em for tier in tiers},
                tokens={tier: float(flows[tier][id].total) for tier in tiers},
                **fields.of(seen),
            )
        )
    tiers_of(outcomes)
    others = [_policy(name, [found[id] for id in answered]) for name, found in flows.items() if name not in tiers]
    return FromRows(with_every_feature(outcomes), others, len(ids) - len(answered))


def _policy(name: str, rows: Sequence[Row]) -> Policy:
    return Policy(
        name=name,
        right=tuple(row.em for row in rows),
        tokens=tuple(float(row.total) for row in rows),
        shares={},
    )
