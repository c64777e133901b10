"""Outcomes from the ledger: what the cascades of earlier runs found out, item by item.

A cascade asks the cheapest tier first and goes on while its check rejects the answer. So the last tier that was asked
was accepted, unless its calls are `discarded` too, and those before it were rejected. Three things to bear in mind:

* accepted is not right: the labels are as good as the check, and the last tier of a cascade is taken unchecked;
* the dearer tiers were not asked. They are taken to solve what a cheaper one solved, and to use what they use on
  average where they were asked;
* an answer that no check accepted is taken all the same where the next tier did not fit in a budget. So a tier other
  than the last counts only where that cannot be: no budget of calls, cost or seconds, and of tokens not half spent;
* what a run alone answered (a route, a single tier) says nothing, since nothing was checked, and is not used.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from ..accounting.call import ANSWERED, Call, is_under
from ..accounting.runs import RunRecord
from ..accounting.totals import Total
from ..errors import FlowError, InputError
from ..orchestrator.yaml_source import read_yaml
from ..routers.outcomes import Outcome, of_label, tiers_of
from .data import lacks, read_items
from .outcome_files import ItemFields, with_every_feature

Remembered = tuple[RunRecord, Mapping[str, Any], str | None]
"""A run, its inputs, and the data file over which it was run, if any."""


@dataclass
class FromRuns:
    """What was found in a ledger."""

    cascade: str
    tiers: tuple[str, ...]
    outcomes: list[Outcome]
    left_out: Counter[str]
    """Why items were left out -> how many."""


class _Seen(msgspec.Struct, frozen=True):
    """One item, as a cascade answered it."""

    id: str
    label: str
    tokens: dict[str, float]
    fields: Mapping[str, Any]


def outcomes_of_runs(
    runs: Iterable[Remembered],
    calls_of: Callable[[str], Sequence[Call]],
    fields: ItemFields,
    costs: Mapping[str, float],
) -> FromRuns:
    """The outcomes of the latest cascade in `runs` (oldest first) and of all runs of the same node and tiers.

    An item that was run again counts once, as it went last. `costs` are the tokens of tiers that were never asked.
    Raises InputError if there is no cascade, nothing was found out, or a tier's tokens are not known.
    """
    found = [(name, tiers, run) for run in runs for name, tiers in _cascades(run[0]).items()]
    if not found:
        raise InputError(
            "no run in the ledger has a node of kind cascade: there is nothing that tells which tier solved"
        )
    name, tiers, _ = found[-1]
    left_out: Counter[str] = Counter()
    seen: dict[tuple[str, str], _Seen] = {}
    for _, _, (record, inputs, data) in (each for each in found if each[:2] == (name, tiers)):
        items = _items(inputs, data)
        if items is None:
            left_out[f"the data file {data} is gone or changed"] += 1
            continue
        for id, calls in _by_item(calls_of(record.run), name).items():
            given = items.get(id)
            if given is None or lacks(given, fields.needed()):
                left_out[f"no field {', '.join(fields.needed())} in the inputs"] += 1
                continue
            one = _judge(f"{record.run}/{id}", calls, name, tiers, given, _room(record, name))
            if one is None:
                left_out["the cascade ended, or may have ended, before it had tried every tier"] += 1
            else:
                seen[data or "", id or repr(given)] = one
    outcomes = _outcomes(list(seen.values()), tiers, fields, costs)
    return FromRuns(name, tiers, outcomes, left_out)


def _cascades(record: RunRecord) -> dict[str, tuple[str, ...]]:
    """The cascades of a run's flow, by name, and their tiers."""
    try:
        nodes = read_yaml(record.text, record.run).data.get("nodes", {}) if record.text else {}
    except FlowError:
        return {}
    return {
        name: tuple(node.get("tiers", ()))
        for name, node in nodes.items()
        if isinstance(node, dict) and node.get("kind") == "cascade"
    }


def _room(record: RunRecord, name: str) -> float:
    """The tokens that an item's cascade may use; 0 where something else, or more than the item, is limited."""
    flow = read_yaml(record.text, record.run).data
    walls = [wall for wall in (flow.get("budget"), flow["nodes"][name].get("budget")) if wall]
    if record.budget or any(set(wall) != {"tokens"} for wall in walls):
        return 0
    return min((float(wall["tokens"]) for wall in walls), default=float("inf"))


def _items(inputs: Mapping[str, Any], data: str | None) -> dict[str, Mapping[str, Any]] | None:
    """The fields of each item of a run, by id; None if they cannot be had any more."""
    if data is None:
        return {"": inputs}
    try:
        return {item.id: item.fields for item in read_items(data).items}
    except InputError:
        return None


def _by_item(calls: Sequence[Call], name: str) -> dict[str, list[Call]]:
    found: dict[str, list[Call]] = {}
    for call in calls:
        if is_under(call.node, name):
            found.setdefault(call.item, []).append(call)
    return found


def _judge(
    id: str, calls: Sequence[Call], name: str, tiers: Sequence[str], fields: Mapping[str, Any], room: float
) -> _Seen | None:
    """What one item's calls tell; None if the cascade did not come to an end, or no tier had room after the last."""
    of_tier = {tier: [call for call in calls if is_under(call.node, f"{name}/{tier}")] for tier in tiers}
    asked = [tier for tier in tiers if of_tier[tier]]
    if not asked:
        return None
    tokens = {tier: float(Total.of(of_tier[tier], virtual=True).total) for tier in asked}
    if asked[-1] != tiers[-1] and 2 * Total.of(calls, virtual=True).total > room:
        return None
    last = of_tier[asked[-1]]
    if any(call.status in ANSWERED for call in last) and all(call.status != "discarded" for call in last):
        return _Seen(id, asked[-1], tokens, fields)
    return _Seen(id, "", tokens, fields) if asked[-1] == tiers[-1] else None


def _outcomes(
    seen: Sequence[_Seen], tiers: Sequence[str], fields: ItemFields, costs: Mapping[str, float]
) -> list[Outcome]:
    if not seen:
        raise InputError("no item of the cascade in the ledger came to an end, or none has the fields that were named")
    mean = {}
    for tier in tiers:
        known = [one.tokens[tier] for one in seen if tier in one.tokens]
        if not known and tier not in costs:
            raise InputError(f"the tier {tier!r} was never asked, so its tokens are unknown: give them with --costs")
        mean[tier] = sum(known) / len(known) if known else costs[tier]
    outcomes = [
        Outcome(
            id=one.id,
            right=of_label(one.label, tiers),
            tokens={tier: one.tokens.get(tier, mean[tier]) for tier in tiers},
            **fields.of(one.fields),
        )
        for one in seen
    ]
    tiers_of(outcomes)
    return with_every_feature(outcomes)
