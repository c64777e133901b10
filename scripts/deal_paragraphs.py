"""Deal the paragraphs of multi-hop questions to two agents, so that each holds one that is needed.

    python scripts/deal_paragraphs.py autoform_100.jsonl dealt.jsonl [--most 40] [--others 2]

Reads questions in the form of AutoForm's HotpotQA file (`input`, `answer`, `context`: paragraphs that begin with their
title, `supporting_paragraphs`: the texts of those that are needed) and writes items of `workflows/team/split_qa.yaml`:
`question`, `answer`, `left`, `right`. The others are dealt in turn in an order drawn from the item's id. A question
whose needed paragraphs cannot be told apart is left out and named. `--most`: only so many, with the shortest
paragraphs. `--others`: only so many of those that are not needed in each hand; all of them otherwise.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from random import Random
from typing import Any


def needed(item: dict[str, Any]) -> list[str]:
    """The paragraphs of an item that its answer needs, as they stand in its context."""
    texts = [part.strip() for part in item["supporting_paragraphs"].split("\n\n") if part.strip()]
    return [paragraph for paragraph in item["context"] if any(text in paragraph for text in texts)]


def dealt(item: dict[str, Any], others_each: int | None) -> dict[str, Any] | None:
    """The item with its paragraphs in two hands; None if it does not have two needed ones."""
    both = needed(item)
    if len(both) != 2:
        return None
    drawn = Random(item["id"])
    drawn.shuffle(both)
    others = [paragraph for paragraph in item["context"] if paragraph not in both]
    drawn.shuffle(others)
    hands = [[both[0], *others[::2][:others_each]], [both[1], *others[1::2][:others_each]]]
    for hand in hands:
        drawn.shuffle(hand)
    return {"id": item["id"], "question": item["input"], "answer": item["answer"], "left": hands[0], "right": hands[1]}


def shortest(items: Iterable[dict[str, Any]], most: int | None) -> list[dict[str, Any]]:
    """The `most` items with the fewest characters in their paragraphs, in their order."""
    there = list(items)
    ranked = sorted(there, key=lambda item: sum(map(len, [*item["left"], *item["right"]])))
    kept = {item["id"] for item in ranked[:most]}
    return [item for item in there if item["id"] in kept]


def read(path: Path, others_each: int | None) -> Iterator[dict[str, Any]]:
    """Every question, dealt; what cannot be dealt is named on stderr."""
    for line in path.read_text(encoding="utf-8").splitlines():
        item = json.loads(line)
        hands = dealt(item, others_each)
        if hands is None:
            print(f"left out {item['id']}: {len(needed(item))} of its paragraphs are needed, not 2", file=sys.stderr)
        else:
            yield hands


def main() -> None:
    """Read, deal, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--most", type=int, default=None)
    parser.add_argument("--others", type=int, default=None)
    asked = parser.parse_args()
    items = shortest(read(asked.source, asked.others), asked.most)
    asked.target.write_text("".join(json.dumps(item, ensure_ascii=False) + "\n" for item in items), encoding="utf-8")
    print(f"{len(items)} questions in {asked.target}")


if __name__ == "__main__":
    main()
