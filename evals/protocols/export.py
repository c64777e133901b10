"""Export: conversations as records for TRL, one for each message.

An agent learns to speak from what it was shown and what it said then, so a record is one turn: the prompt with the
agent's own context in it, and its message. The forms are TRL's conversational prompt-completion (`prompt`,
`completion`), in which the loss is taken on the message alone whatever the chat template is, and its conversational
preferences (`prompt`, `chosen`, `rejected`). A message that was repaired stands behind the prompt before the
complaint: what is learned is to say it well at once.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...accounting.store import Store
from ...errors import InputError
from .conversations import Held, Said
from .selection import Scored

LEAST_REWARD = 0.5
"""The best conversation about an item is worth imitating from this reward on (Optima)."""
LEAST_GAP = 0.2
"""Of two conversations one is preferred if its reward is higher by this much (Optima: 0.2 to 0.4)."""

Record = dict[str, Any]


def imitations(scored: Sequence[Scored], store: Store, *, least: float = LEAST_REWARD) -> list[Record]:
    """What agents said in the best conversation about each item, if its reward is at least `least`.

    A message that did not follow its protocol, or that its sender replaced, is left out.
    """
    found = []
    for group in _by_item(scored).values():
        best = max(group, key=lambda one: one.reward)
        if best.reward < least or best.held.status != "ok":
            continue
        for said in best.held.said:
            prompt = _prompt(said, store)
            if prompt is not None and said.message.understood and not said.message.withdrawn:
                found.append({"prompt": prompt, "completion": [_answered(said)], **_origin(best, said)})
    return found


def preferences(scored: Sequence[Scored], store: Store, *, least_gap: float = LEAST_GAP) -> list[Record]:
    """For each item, the first message in which the best and the worst conversation about it part.

    Up to there both are the same, so that the message is what made the difference, or began to. The prompt is that of
    the better one. Items whose rewards are closer than `least_gap` are left out.
    """
    found = []
    for group in _by_item(scored).values():
        best, worst = max(group, key=lambda one: one.reward), min(group, key=lambda one: one.reward)
        if best.reward - worst.reward < least_gap or best.held.status != "ok":
            continue
        parted = _parted(best.held, worst.held)
        prompt = None if parted is None else _prompt(parted[0], store)
        if parted is not None and prompt is not None:
            chosen, rejected = parted
            found.append(
                {
                    "prompt": prompt,
                    "chosen": [_answered(chosen)],
                    "rejected": [_answered(rejected)],
                    **_origin(best, chosen),
                    "rejected_way": worst.held.arm,
                    "rejected_reward": worst.reward,
                }
            )
    return found


def write_records(records: Iterable[Mapping[str, Any]], path: Path) -> int:
    """Write records as JSONL; returns how many. Raises InputError if the file cannot be written."""
    lines = [json.dumps(record, ensure_ascii=False) + "\n" for record in records]
    try:
        path.write_text("".join(lines), encoding="utf-8")
    except OSError as error:
        raise InputError(f"the records cannot be written to {str(path)!r}: {error.strerror}") from error
    return len(lines)


def _by_item(scored: Iterable[Scored]) -> dict[str, list[Scored]]:
    found: dict[str, list[Scored]] = {}
    for one in scored:
        found.setdefault(one.held.item, []).append(one)
    return found


def _parted(best: Held, worst: Held) -> tuple[Said, Said] | None:
    """The first messages that differ; None if none does, others speak there, one is empty, or the better no example."""
    for one, other in zip(best.said, worst.said, strict=False):
        if one.message.sender != other.message.sender:
            return None
        if one.message.text != other.message.text:
            usable = one.message.understood and not one.message.withdrawn
            return (one, other) if usable and one.message.text.strip() and other.message.text.strip() else None
    return None


def _prompt(said: Said, store: Store) -> list[dict[str, str]] | None:
    """What the agent was shown, as the store has it."""
    request = store.asked(said.request) if said.request else None
    if request is None or request.messages is None:
        return None
    return [{"role": turn.role, "content": turn.content} for turn in request.messages]


def _answered(said: Said) -> dict[str, str]:
    return {"role": "assistant", "content": said.message.text}


def _origin(scored: Scored, said: Said) -> dict[str, Any]:
    """Where a record comes from; trainers pass over these columns."""
    return {
        "item": scored.held.item,
        "way": scored.held.arm,
        "agent": said.message.sender,
        "reward": scored.reward,
    }
