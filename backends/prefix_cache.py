"""A model of a server's prefix cache, block by block, as vLLM keeps it.

A block of tokens is known by the hash of all tokens up to its end, so two prompts share exactly the full blocks of
their common beginning. A sequence that runs holds its blocks; when it ends they are free, but remembered, and are given
to others in this order: first those that nobody could ever find again, then the longest unused, and of one sequence the
last block first. So a prefix outlives what was written behind it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence

from .request import Request


class PrefixCache:
    """The blocks of a server: held by sequences, free and remembered, or free and empty.

    Invariants: what is read is a whole number of blocks, and at least one token of a prompt is left to compute; no
    more blocks are remembered than there are. Sequences that run together may hold more than there are: a server would
    let some of them wait.
    """

    def __init__(self, block: int = 16, blocks: int | None = None) -> None:
        """Make an empty cache; `block` is in tokens. `blocks`: how many there are, None for memory enough."""
        if block < 1:
            raise ValueError(f"A block of a prefix cache has at least 1 token, not {block}.")
        if blocks is not None and blocks < 1:
            raise ValueError(f"A prefix cache has at least 1 block, not {blocks}.")
        self.block = block
        self.blocks = blocks
        self._known: dict[int, list[_Block]] = {}
        """Hash -> the blocks that hold it; two if two sequences computed the same at once."""
        self._free: OrderedDict[int, _Block] = OrderedDict()
        """Free blocks by identity, the first to be given away first."""
        self._made = 0

    @property
    def held(self) -> int:
        """Blocks that running sequences hold."""
        return self._made - len(self._free)

    def known(self, marks: Sequence[int]) -> int:
        """How many of these hashes, from the first on, are remembered without a gap."""
        return len(self._found(marks))

    def idle(self, marks: Sequence[int]) -> int:
        """How many of these are remembered, but held by no running sequence."""
        return sum(1 for block in self._found(marks) if not block.users)

    def read(self, prompt: Sequence[int], salt: str = "") -> int:
        """Tokens at the start of a prompt that are cached."""
        return len(self._found(hashes(prompt[:-1], self.block, salt))) * self.block

    def begin(self, prompt: Sequence[int], salt: str = "") -> Running:
        """A sequence begins: what is known of its prompt is read, the rest is computed and from now on known.

        Sequences with another `salt` (vLLM's `cache_salt`) share nothing.
        """
        marks = hashes(prompt, self.block, salt)
        found = self._found(marks[: (len(prompt) - 1) // self.block])
        for block in found:
            if block.users == 0:
                del self._free[id(block)]
            block.users += 1
        running = Running(self, found, len(found) * self.block, salt)
        self._grow(running, marks, len(prompt))
        return running

    def write(self, ids: Sequence[int]) -> None:
        """A sequence of these tokens, all of them computed, comes and goes."""
        running = self.begin(ids)
        running.end(ids)

    def _found(self, marks: Sequence[int]) -> list[_Block]:
        found = []
        for mark in marks:
            known = self._known.get(mark)
            if known is None:
                break
            found.append(known[0])
        return found

    def _grow(self, running: Running, marks: Sequence[int], length: int) -> None:
        """Take blocks for `length` tokens in all, and remember the full ones."""
        held = running.held
        while len(held) * self.block < length:
            held.append(self._taken())
        for block, mark in zip(held, marks, strict=False):
            if block.mark is None:
                block.mark = mark
                self._known.setdefault(mark, []).append(block)

    def _taken(self) -> _Block:
        if self.blocks is None or self._made < self.blocks or not self._free:
            self._made += 1
            return _Block()
        _, block = self._free.popitem(last=False)
        self._forget(block)
        block.users = 1
        return block

    def _forget(self, block: _Block) -> None:
        if block.mark is not None:
            others = self._known[block.mark]
            others.remove(block)
            if not others:
                del self._known[block.mark]
            block.mark = None

    def _release(self, held: Iterable[_Block]) -> None:
        for block in held:
            block.users -= 1
            if block.users:
                continue
            if self.blocks is not None and self._made > self.blocks:  # there was no room for it
                self._forget(block)
                self._made -= 1
                continue
            self._free[id(block)] = block
            if block.mark is None:
                self._free.move_to_end(id(block), last=False)


class Running:
    """A sequence while a server works on it."""

    __slots__ = ("_cache", "_salt", "cached", "held")

    def __init__(self, cache: PrefixCache, held: list[_Block], cached: int, salt: str) -> None:
        self._cache = cache
        self._salt = salt
        self.held = held
        self.cached = cached
        """Tokens of the prompt that were read from the cache."""

    def end(self, ids: Sequence[int]) -> None:
        """The sequence ends; `ids` are all tokens that were computed, those of the prompt first."""
        self._cache._grow(self, hashes(ids, self._cache.block, self._salt), len(ids))
        held, self.held = self.held, []
        self._cache._release(reversed(held))


class _Block:
    __slots__ = ("mark", "users")

    def __init__(self) -> None:
        self.mark: int | None = None
        self.users = 1


def salt_of(request: Request) -> str:
    """What sets the cached prefixes of a request apart from those of others: vLLM's `cache_salt`."""
    return str(request.extra.get("cache_salt") or "")


def hashes(ids: Sequence[int], block: int, salt: str = "") -> list[int]:
    """The hash of each full block of a sequence, which is one of its salt and all tokens up to the block's end."""
    found, last = [], hash(salt) if salt else 0
    for end in range(block, len(ids) + 1, block):
        last = hash((last, *ids[end - block : end]))
        found.append(last)
    return found
