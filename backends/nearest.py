"""What was probably meant by a wrong name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The tail of a message about a wrong name, ` Did you mean a or b?`; empty if nothing is near."""
    near = difflib.get_close_matches(name, sorted(known), n=2, cutoff=0.6)
    return f" Did you mean {' or '.join(near)}?" if near else ""
