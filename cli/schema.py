"""`laconic schema`: the JSON Schema of flow files."""

from __future__ import annotations

import json
import sys

from ..orchestrator.schema import flow_schema


def schema() -> None:
    """Print the JSON Schema of flow files, with every kind and tool that is installed; for editors."""
    sys.stdout.write(json.dumps(flow_schema(), indent=2, ensure_ascii=False) + "\n")
