"""Tokens a second of two models on one answer, beside each of them alone, in this process.

    python benchmarks/token_by_token.py [--model MODEL] [--skip 12,14,15,16] [--at-once 8,32] [--most 128] [--rounds N]

The large model is MODEL, a folder with safetensors or a name of the catalogue; the small one is the same without some
layers. Which tokens are the large one's is drawn, so that its share is what it is said to be: how fast it goes depends
on the share more than on who decides.
"""

from __future__ import annotations

import asyncio
import math
import time
from argparse import ArgumentParser, Namespace
from itertools import cycle, islice
from typing import Any

from served import accelerator
from side_by_side import Figures, Report, Table, middle, ratio, say
from workloads import texts

from laconic import Flow, Runtime

WAYS = {
    "large alone": -math.inf,
    "small alone": math.inf,
    "a tenth by the large": 0.9,
    "a quarter by the large": 0.75,
    "half by the large": 0.5,
}
"""What is compared, and the threshold of chance above which a token is the large model's."""
ASKED = "{{ item }}\n\nRetell this in your own words, in three sentences."


def main() -> None:
    chosen = _arguments()
    taken = asyncio.run(_rounds(chosen))
    report = Report(
        "token_by_token",
        f"{chosen.model} and the same without the layers {', '.join(map(str, chosen.skip))} on {accelerator()}; "
        f"answers of at most {chosen.most} tokens, under way at once. A token is one of an answer; those that were "
        "replaced do not count.",
        ("torch", "transformers"),
    )
    report.figures = {f"{way}, {at_once} at once": figures for (way, at_once), figures in taken.items()}
    for at_once in chosen.at_once:
        rows = [
            (
                way,
                f"{middle(taken[way, at_once], 'share'):.2f}",
                f"{middle(taken[way, at_once], 'written'):,.0f}",
                f"{middle(taken[way, at_once], 'read_by_large'):,.0f}",
                f"{middle(taken[way, at_once], 'rate'):,.0f}",
                f"{ratio(taken[way, at_once], taken['large alone', at_once], 'rate'):.2f}",
            )
            for way in WAYS
        ]
        columns = ("way", "share of the large", "tokens", "read by the large", "tokens a second", "× large alone")
        report.tables.append(Table(f"{at_once} answers at once", columns, rows))
    report.show(as_json=chosen.json)


def _arguments() -> Namespace:
    def numbers(text: str) -> list[int]:
        return [int(number) for number in text.split(",")]

    parser = ArgumentParser(description="Tokens a second of two models on one answer, beside each alone.")
    parser.add_argument("--model", default="qwen2.5-coder-1.5b-instruct", help="a folder or a name of the catalogue")
    parser.add_argument("--skip", type=numbers, default=[12, 14, 15, 16], help="layers the small one does without")
    parser.add_argument("--at-once", type=numbers, default=[8], help="how many answers are under way (8)")
    parser.add_argument("--most", type=int, default=64, help="tokens of an answer (64)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured (3)")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of tables")
    return parser.parse_args()


async def _rounds(chosen: Namespace) -> dict[tuple[str, int], list[Figures]]:
    """Every way with every number of answers, in turns, on models that are loaded once."""
    cells = [(way, at_once) for at_once in chosen.at_once for way in WAYS]
    taken: dict[tuple[str, int], list[Figures]] = {cell: [] for cell in cells}
    async with Runtime() as runtime:
        await _measured(chosen, runtime, "half by the large", min(chosen.at_once), seed=-1)  # warms up
        for turn in range(chosen.rounds):
            for place in range(len(cells)):
                way, at_once = cells[(turn + place) % len(cells)]
                say(f"round {turn + 1} of {chosen.rounds}: {way}, {at_once} at once")
                taken[way, at_once].append(await _measured(chosen, runtime, way, at_once, seed=turn))
    return taken


async def _measured(chosen: Namespace, runtime: Runtime, way: str, at_once: int, *, seed: int) -> Figures:
    flow = _flow(chosen, way, at_once, seed)
    chapters = islice(cycle(texts()), at_once)
    asked = [f"{seed} {way} {number}. {title}\n{text}" for number, (title, text) in enumerate(chapters)]
    began = time.perf_counter()
    result = await flow.run(texts=asked, runtime=runtime)
    seconds = time.perf_counter() - began
    result.raise_for_status()
    answers = result.values["answers"]
    assert len(answers) == at_once
    written = sum(answer.small.written + answer.large.written for answer in answers)
    return {
        "seconds": seconds,
        "written": written,
        "share": sum(answer.large.written for answer in answers) / written,
        "read_by_large": sum(answer.large.read for answer in answers),
        "rate": written / seconds,
    }


def _flow(chosen: Namespace, way: str, at_once: int, seed: int) -> Flow:
    model = {"backend": "transformers", "model": chosen.model, "concurrency": at_once}
    options: dict[str, Any] = {"readings": at_once}
    return Flow(
        name="token_by_token",
        models={
            "small": {**model, "options": {**options, "skip": chosen.skip}},
            "large": {**model, "options": options},
        },
        inputs={"texts": "list"},
        nodes={
            "answers": {
                "kind": "token_route",
                "for_each": "{{ texts }}",
                "prompt": ASKED,
                "by": "random",
                "above": WAYS[way],
                "seed": seed,
                "max_tokens": chosen.most,
            }
        },
        outputs={},
    )


if __name__ == "__main__":
    main()
