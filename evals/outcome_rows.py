"""Outcomes from the rows of `laconic compare`: several flows answered the same items, and each flow is a tier."""

from __future__ import annotations

from pathlib import Path

from ..errors import InputError
from ..routers.outcomes import Outcome, tiers_of
from .data import lacks, read_items
from .outcome_files import ItemFields
from .rows import by_flow, read_rows


def outcomes_of_rows(rows: Path, data: Path, fields: ItemFields) -> tuple[list[Outcome], int]:
    """The outcomes of the items that every flow has answered, and how many others are left out.

    Rows have no texts: `data` is the file of items that was compared. A flow's answer is right as far as it matches
    exactly; flows stand in the order of their mean tokens. Raises InputError for fewer than two flows, and for a file
    of items in which a row's item, or a field, is missing.
    """
    flows = {name: {row.id: row for row in found if row.answered} for name, found in by_flow(read_rows(rows)).items()}
    if len(flows) < 2:
        raise InputError(f"{str(rows)!r} has rows of {', '.join(flows) or 'no flow'}; a router needs two flows or more")
    tiers = sorted(flows, key=lambda flow: sum(row.total for row in flows[flow].values()) / max(1, len(flows[flow])))
    items = {item.id: item for item in read_items(data).items}
    ids = dict.fromkeys(id for found in flows.values() for id in found)
    outcomes = []
    for id in ids:
        if id not in items:
            raise InputError(
                f"the item {id!r} of {str(rows)!r} is not in {str(data)!r}; --data names what was compared"
            )
        complaint = lacks(items[id].fields, fields.needed())
        if complaint:
            raise InputError(complaint, where=f"{data}:{items[id].line}")
        if all(id in flows[tier] for tier in tiers):
            outcomes.append(
                Outcome(
                    id=id,
                    right={tier: flows[tier][id].em for tier in tiers},
                    tokens={tier: float(flows[tier][id].total) for tier in tiers},
                    **fields.of(items[id].fields),
                )
            )
    tiers_of(outcomes)
    return outcomes, len(ids) - len(outcomes)
