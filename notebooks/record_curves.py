"""Keep the cost-quality curves that `03_routing` draws: `python notebooks/record_curves.py TITLE=EVAL.json ...`.

EVAL.json is what `laconic router eval --json` printed. Figures are kept, no item of the data.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

OUT = Path(__file__).resolve().parent / "recorded" / "03_routing.json"


def kept(judged: dict[str, Any]) -> dict[str, Any]:
    """What the notebook draws of one evaluation."""
    return {
        "items": judged["items"],
        "groups": judged["groups"],
        "data_sha256": judged["data_sha256"],
        "curves": [
            {
                "name": curve["name"],
                "area": round(curve["area"], 4),
                "points": [[round(point["cost"], 4), round(point["quality"], 4)] for point in curve["points"]],
            }
            for curve in judged["curves"]
        ],
    }


if __name__ == "__main__":
    named = dict(argument.rsplit("=", 1) for argument in sys.argv[1:])
    recorded = {title: kept(json.loads(Path(path).read_text(encoding="utf-8"))) for title, path in named.items()}
    about = {"date": time.strftime("%Y-%m-%d"), "recorded": recorded}
    OUT.write_text(json.dumps(about, separators=(",", ":")) + "\n", encoding="utf-8")
