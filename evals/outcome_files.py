"""Outcomes from files: as they are, or from items that are labelled with the cheapest tier that was enough."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from ..errors import InputError
from ..orchestrator.registry import nearest
from ..routers.outcomes import Outcome, of_label, tiers_of
from .data import Item, lacks, read_items

UNSOLVED = ("unsolved", "none")
"""Labels, in any case of letters, of items that no tier solved; so is null."""


@dataclass(frozen=True)
class ItemFields:
    """Which fields of an item a router may see, and which groups it."""

    text: str
    group: str = ""
    features: tuple[str, ...] = ()

    def needed(self) -> list[str]:
        """The fields that every item must have."""
        return [name for name in (self.text, self.group, *self.features) if name]

    def of(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """`text`, `group` and `features` of an outcome. Raises InputError for a feature that is null."""
        return {
            "text": str(fields[self.text]),
            "group": str(fields[self.group]) if self.group else "",
            "features": {k: v for name in self.features for k, v in flat(name, fields[name]).items()},
        }


def flat(name: str, value: Any) -> dict[str, float | str | list[str]]:
    """A value as features: numbers and texts as they are; a list as its names; of mappings, and lists of mappings, a
    feature for each key, its values one behind the other (`schema.tables.columns`: the columns of all tables).
    """
    if isinstance(value, Mapping):
        return {k: v for key, inner in value.items() for k, v in flat(f"{name}.{key}", inner).items()}
    if isinstance(value, (int, float)):
        return {name: float(value)}
    if isinstance(value, str):
        return {name: value}
    if not isinstance(value, list):
        raise InputError(f"the feature {name!r} is {value!r}: it must be a number, a text, a list or a mapping")
    found: dict[str, float | str | list[str]] = {}
    for one in value:
        for key, inner in flat(name, one).items():
            names = found.setdefault(key, [])
            if isinstance(names, list):
                names += inner if isinstance(inner, list) else [str(inner)]
    return found or {name: []}


def read_outcomes(path: str | Path) -> list[Outcome]:
    """Outcomes as `Outcome` has them, one a line. Raises InputError naming the line that is none."""
    found = []
    for item in _every_item(path):
        try:
            found.append(msgspec.convert({**item.fields, "id": item.id}, Outcome))
        except msgspec.ValidationError as error:
            raise InputError(
                f"no outcome: {error}. An outcome has `text`, `right` and `tokens`; for labelled items say --label",
                where=f"{path}:{item.line}",
            ) from None
    tiers_of(found)
    return found


def read_labelled(path: str | Path, *, label: str, fields: ItemFields, costs: Mapping[str, float]) -> list[Outcome]:
    """Items whose field `label` names the cheapest tier that was enough; `costs` gives the tiers, from the cheapest to
    the dearest, and the tokens of each. See `routers.outcomes.of_label` for what such labels are taken to mean.

    Raises InputError for a missing field and for a label that is no tier, with the line.
    """
    tiers = list(costs)
    found = []
    for item in _every_item(path):
        complaint = lacks(item.fields, [label, *fields.needed()])
        if complaint:
            raise InputError(complaint, where=f"{path}:{item.line}")
        found.append(
            Outcome(
                id=item.id,
                right=of_label(_tier(item, label, tiers, path), tiers),
                tokens=dict(costs),
                **_filled(fields, item, path),
            )
        )
    tiers_of(found)
    return with_every_feature(found)


def with_every_feature(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """The outcomes, each with an empty list for a list of names that others have and it has not: there are none."""
    lists: dict[str, list[str]] = {
        name: [] for outcome in outcomes for name, value in outcome.features.items() if isinstance(value, list)
    }
    return [msgspec.structs.replace(outcome, features={**lists, **outcome.features}) for outcome in outcomes]


def _every_item(path: str | Path) -> list[Item]:
    """The items of a file, none left out: what a router learns from must be what the file says."""
    data = read_items(path)
    if data.problems:
        raise InputError(data.problems[0].text, where=f"{path}:{data.problems[0].line}")
    return data.items


def _filled(fields: ItemFields, item: Item, path: str | Path) -> dict[str, Any]:
    try:
        return fields.of(item.fields)
    except InputError as error:
        raise InputError(error.plain, where=f"{path}:{item.line}") from None


def _tier(item: Item, label: str, tiers: Sequence[str], path: str | Path) -> str:
    """The tier of a label, whatever its case; "" for unsolved."""
    value = item.fields[label]
    if value is None or str(value).lower() in UNSOLVED:
        return ""
    by_name = {tier.lower(): tier for tier in tiers}
    tier = by_name.get(str(value).lower())
    if tier is None:
        raise InputError(
            f"the label {value!r} is none of the tiers {', '.join(tiers)}{nearest(str(value).lower(), list(by_name))}",
            where=f"{path}:{item.line}",
        )
    return tier
