"""Keep the figures that `06_token_routing` draws: `python notebooks/record_figures.py COMPARE.json`.

COMPARE.json is what `laconic compare --json` printed. Figures are kept, no item of the data.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

OUT = Path(__file__).resolve().parent / "recorded" / "06_token_routing.json"


def kept(compared: dict[str, Any]) -> dict[str, Any]:
    """What the notebook draws of a comparison, and where it was measured."""
    measured = compared["provenance"]
    return {
        "date": measured["date"],
        "command": measured["command"],
        "data_sha256": measured["data_sha256"],
        "models": measured["models"],
        "flows": [
            {name: flow[name] for name in ("flow", "n", "em", "total", "seconds", "roles", "activated", "outputs")}
            for flow in compared["figures"]
        ],
    }


if __name__ == "__main__":
    compared = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    OUT.write_text(json.dumps(kept(compared), indent=1) + "\n", encoding="utf-8")
