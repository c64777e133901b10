"""Recorded votes under each rule of stopping, as Markdown: `python scripts/replay_votes.py SIZE=VOTES.json ...`.

SIZE is the batch size that the votes were recorded with. The format is described in `laconic.evals.recorded_votes`.
"""

from __future__ import annotations

import hashlib
import sys
import time
from pathlib import Path

from laconic.evals.recorded_votes import Replayed, read_recorded, replays

HEAD = "| votes | stop | right | calls | of all calls | items asked | their tokens | tied | changed by stopping |"


def table(found: list[Replayed]) -> list[str]:
    """The rows of a Markdown table."""
    lines = [HEAD, "|---:|---|---:|---:|---:|---:|---:|---:|---:|"]
    for one in found:
        low, high = one.interval
        full = next(other.calls for other in found if other.rounds == one.rounds and other.rule == "never")
        lines.append(
            f"| {one.rounds} | {one.rule} | {one.accuracy:.1%} [{low:.1%}, {high:.1%}] | {one.calls:,} | "
            f"{one.calls / full:.0%} | {one.questions:,} | {one.tokens:,} | {one.ties} | {one.changed} |"
        )
    return lines


def main(asked: list[str]) -> str:
    """The document."""
    command = " ".join(f"{size}={Path(path).name}" for size, _, path in (part.partition("=") for part in asked))
    parts = [
        "# Recorded votes under the rules of stopping",
        f"Generated on {time.strftime('%Y-%m-%d %H:%M %Z')}; nothing in it was typed by hand.",
        f"```sh\npython scripts/replay_votes.py {command}\n```",
    ]
    for part in asked:
        size, _, path = part.partition("=")
        items = read_recorded(path)
        digest = hashlib.sha256(Path(path).read_bytes()).hexdigest()
        parts.append(f"## {size} items a batch\n\n{len(items)} items; `{Path(path).name}`, SHA-256 {digest}.")
        parts.append("\n".join(table(list(replays(items, int(size))))))
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    sys.stdout.write(main(sys.argv[1:]))
