"""A model of a server's prefix cache, block by block, as vLLM keeps it.

A block of tokens is known by the hash of all tokens up to its end, so two prompts share exactly the full blocks of
their common beginning. Nothing is ever evicted: this is the cache of a server with memory enough.
"""

from __future__ import annotations

from collections.abc import Sequence


class PrefixCache:
    """The blocks that are cached.

    Invariant: what is read is a whole number of blocks, and at least one token of a prompt is left to compute.
    """

    def __init__(self, block: int = 16) -> None:
        """Make an empty cache; `block` is in tokens."""
        if block < 1:
            raise ValueError(f"A block of a prefix cache has at least 1 token, not {block}.")
        self.block = block
        self._blocks: set[int] = set()

    def read(self, prompt: Sequence[int]) -> int:
        """Tokens at the start of a prompt that are cached."""
        cached = 0
        for block in self._hashes(prompt[:-1]):
            if block not in self._blocks:
                break
            cached += self.block
        return cached

    def write(self, ids: Sequence[int]) -> None:
        """Keep the full blocks of a sequence."""
        self._blocks.update(self._hashes(ids))

    def _hashes(self, ids: Sequence[int]) -> list[int]:
        hashes, last = [], 0
        for end in range(self.block, len(ids) + 1, self.block):
            last = hash((last, *ids[end - self.block : end]))
            hashes.append(last)
        return hashes
