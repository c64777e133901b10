"""Keep the figures that `06_token_routing` draws: `python notebooks/record_figures.py COMPARE.json ...`.

Each COMPARE.json is what a `laconic compare --json` printed. Figures are kept, no item of the data.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import msgspec

from laconic.accounting.activation import Activated

OUT = Path(__file__).resolve().parent / "recorded" / "06_token_routing.json"


def kept(compared: dict[str, Any]) -> dict[str, Any]:
    """What the notebook draws of a comparison, and where it was measured."""
    measured = compared["provenance"]
    return {
        "flow": next(Path(word).stem for word in measured["command"] if word.endswith((".yaml", ".yml"))),
        "date": measured["date"],
        "command": measured["command"],
        "data_sha256": measured["data_sha256"],
        "models": measured["models"],
        "flows": [point(flow) for flow in compared["figures"]],
    }


def point(flow: dict[str, Any]) -> dict[str, Any]:
    """One flow: how often it was right, by how much of the large model, and what was computed."""
    activated = msgspec.convert(flow["activated"], Activated)
    return {
        "flow": flow["flow"],
        "n": flow["n"],
        "right": flow["em"]["value"],
        "interval": flow["em"]["interval"],
        "share": flow["outputs"]["share"]["value"],
        "seconds": flow["seconds"],
        "read by large": sum(work.read for work in activated.models if work.role == "large"),
        "replaced": sum(work.replaced for work in activated.models if work.role == "small"),
        "as published": activated.as_published,
        "everything": activated.everything,
    }


if __name__ == "__main__":
    compared = [json.loads(Path(name).read_text(encoding="utf-8")) for name in sys.argv[1:]]
    OUT.write_text(json.dumps([kept(each) for each in compared], indent=1) + "\n", encoding="utf-8")
