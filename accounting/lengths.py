"""How long the answers of a node are expected to be: what most of its latest ones were."""

from __future__ import annotations

import re
from collections import deque

LATEST = 64
"""Answers of a node that are remembered."""
MOST = 0.75
"""Share of the latest answers that the expectation covers."""
UNHEARD = 64
"""Tokens expected of a node that has not answered yet."""

_INDEX = re.compile(r"\[\d+\]")


class Lengths:
    """A running quantile for each node; the elements of a `for_each` are one node."""

    def __init__(self) -> None:
        self._latest: dict[str, deque[int]] = {}

    def learn(self, node: str, tokens: int) -> None:
        """An answer of `node` had so many tokens."""
        self._latest.setdefault(_INDEX.sub("", node), deque(maxlen=LATEST)).append(tokens)

    def expect(self, node: str, most: int | None) -> int:
        """Tokens that the next answer of `node` will have, no more than `most`."""
        latest = sorted(self._latest.get(_INDEX.sub("", node), ()))
        expected = latest[min(len(latest) - 1, int(len(latest) * MOST))] if latest else UNHEARD
        return expected if most is None else min(expected, most)
