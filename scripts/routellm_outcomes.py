"""RouteLLM's recorded pairs as outcomes: `python scripts/routellm_outcomes.py RECORDED.jsonl OUTCOMES.jsonl`.

A line of RECORDED.jsonl has `prompt`, and for each of two models a field under its name that says `True` or `False`,
and its answer under its name and `_response`. The cost of a call to the weak model is 0 and to the strong one 1, so
that the tokens of `laconic router eval` read as the share of calls to the strong model.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import msgspec

from laconic.routers.outcomes import Outcome

ANSWER = "_response"


def outcomes(lines: list[str]) -> list[Outcome]:
    """The outcomes; of the two models, the one that is less often right comes first."""
    records = [json.loads(line) for line in lines if line.strip()]
    models = [name.removesuffix(ANSWER) for name in records[0] if name.endswith(ANSWER)]
    right = {model: [float(record[model] == "True") for record in records] for model in models}
    models.sort(key=lambda model: sum(right[model]))
    return [
        Outcome(
            id=str(number),
            text=record["prompt"],
            right={model.rpartition("/")[2]: right[model][number] for model in models},
            tokens={model.rpartition("/")[2]: float(place) for place, model in enumerate(models)},
        )
        for number, record in enumerate(records)
    ]


if __name__ == "__main__":
    recorded, out = map(Path, sys.argv[1:])
    found = outcomes(recorded.read_text(encoding="utf-8").splitlines())
    out.write_bytes(b"".join(msgspec.json.encode(outcome) + b"\n" for outcome in found))
