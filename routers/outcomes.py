"""Outcomes: which tiers solved an item, and what each of them cost. Routers are trained and judged on them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from ..errors import InputError

ENOUGH = 0.5
"""A tier was enough for an item where it was right to at least this degree."""

Unsolved = Literal["cheapest", "dearest"]
"""Where the items go that no tier solved: to the cheapest tier, as nothing is gained by more, or to the dearest."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One item, answered by every tier. Tiers stand in the order from the cheapest to the dearest."""

    id: str
    text: str
    """What was asked."""
    group: str = ""
    """What the item shares with others, such as its database: a router is judged on groups that it has not seen."""
    features: dict[str, float | str | list[str]] = msgspec.field(default_factory=dict)
    """What is known before anything is answered: numbers, words, or lists of names."""
    right: dict[str, float]
    """For each tier, how right it was, 0 to 1."""
    tokens: dict[str, float]
    """For each tier, the tokens it used."""


def tiers_of(outcomes: Sequence[Outcome]) -> tuple[str, ...]:
    """The tiers that all items have, in their order. Raises InputError for none, and for an item with others."""
    if not outcomes:
        raise InputError("there are no outcomes: a router needs items with what each tier made of them")
    tiers = tuple(outcomes[0].right)
    for outcome in outcomes:
        if tuple(outcome.right) != tiers or set(outcome.tokens) != set(tiers):
            raise InputError(
                f"the item {outcome.id!r} has the tiers {', '.join(outcome.right) or 'none'} under `right` and "
                f"{', '.join(outcome.tokens) or 'none'} under `tokens`; the first item has {', '.join(tiers)}. Every "
                "item needs the same tiers in the same order"
            )
    if len(tiers) < 2:
        raise InputError(f"there is nothing to route: the only tier is {', '.join(tiers) or 'none at all'}")
    return tiers


def cheapest_right(outcome: Outcome) -> int | None:
    """The number, from 0, of the cheapest tier that was enough; None if none was."""
    return next((number for number, right in enumerate(outcome.right.values()) if right >= ENOUGH), None)


def label_of(outcome: Outcome, unsolved: Unsolved) -> int:
    """The number of the tier that a router should have taken."""
    found = cheapest_right(outcome)
    if found is not None:
        return found
    return 0 if unsolved == "cheapest" else len(outcome.right) - 1


def groups_of(outcomes: Sequence[Outcome]) -> list[str]:
    """The group of each item; every item is its own group where none is named."""
    if any(outcome.group for outcome in outcomes):
        return [outcome.group for outcome in outcomes]
    return [outcome.id for outcome in outcomes]


def of_label(label: str, tiers: Sequence[str]) -> dict[str, float]:
    """What each tier was, if `label` was the cheapest that was enough and dearer tiers solve what cheaper ones solve.

    That is an assumption: such labels come from trying tiers until one is right, so nobody tried the dearer ones.
    A `label` that is none of the tiers means that none was enough.
    """
    enough = tiers.index(label) if label in tiers else len(tiers)
    return {tier: float(number >= enough) for number, tier in enumerate(tiers)}


def hash_of(outcomes: Sequence[Outcome]) -> str:
    """SHA-256 of the items, so that a router file can say what it learned from."""
    digest = hashlib.sha256()
    for outcome in outcomes:
        digest.update(msgspec.json.encode(outcome) + b"\n")
    return digest.hexdigest()


def shares(numbers: Sequence[int], tiers: Sequence[str]) -> Mapping[str, float]:
    """For each tier, the share of the items that were given to it."""
    return {tier: numbers.count(number) / len(numbers) for number, tier in enumerate(tiers)}
