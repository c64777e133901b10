"""What a client believes to be in a server's prefix cache, from the calls it has sent there.

The belief can be wrong (other clients, another order of events in the server). Nothing depends on it but the order of
calls, so a mistake costs a prefix that is computed twice.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ..backends.prefix_cache import PrefixCache, Running


class Sequenced(msgspec.Struct):
    """A call whose prompt is known, on its way through the server."""

    ids: tuple[int, ...]
    marks: tuple[int, ...]
    """Hashes of the prompt's blocks that another prompt can share."""
    expected: int
    """Tokens that its answer is expected to have."""
    salt: str = ""
    """What sets its prefixes apart from those of others."""
    running: Running | None = None
    cold: frozenset[int] = frozenset()
    """Hashes of the blocks it has yet to compute."""
    growth: int = 0
    """Blocks it is expected to take for its answer."""


class CacheBelief:
    """The server's cache as it should be: what is in it, what is just being computed, what there is room for."""

    def __init__(self, block: int, blocks: int | None) -> None:
        self.block = block
        self._cache = PrefixCache(block, blocks)
        self._cold: set[int] = set()
        self._growth = 0
        self._under_way = 0

    def cold(self, prefix: Sequence[int]) -> bool:
        """Whether a call under way is about to compute the end of this prefix."""
        return bool(prefix) and prefix[-1] in self._cold

    def begun(self, prefix: Sequence[int]) -> bool:
        """Whether all of this prefix is there or on its way."""
        return self._cache.known(prefix) == len(prefix)

    def warm(self, prefix: Sequence[int]) -> bool:
        """Whether all of this prefix is there."""
        return not self.cold(prefix) and self.begun(prefix)

    def idle(self, prefix: Sequence[int]) -> int:
        """Blocks of a prefix that are there and that no call under way holds: the next to be forgotten."""
        return self._cache.idle(prefix)

    def room_for(self, call: Sequenced, prefix: Sequence[int] = ()) -> int:
        """Blocks that a call takes beside those of `prefix`, its answer included."""
        return _up(len(call.ids) + call.expected, self.block) - len(prefix)

    def fits(self, call: Sequenced, reserved: int = 0) -> bool:
        """Whether there is room for a call beside those under way and `reserved` blocks; a lone call always fits.

        Answers grow while others end, so that half of what they are expected to take is kept free for them.
        """
        if self._cache.blocks is None or not self._under_way:
            return True
        needed = _up(len(call.ids), self.block) - self._cache.known(call.marks) + self._cache.idle(call.marks)
        growth = (self._growth + _up(call.expected, self.block)) // 2
        return self._cache.held + needed + growth + reserved <= self._cache.blocks

    def begin(self, call: Sequenced) -> None:
        """A call is sent."""
        self._under_way += 1
        call.running = self._cache.begin(call.ids, call.salt)
        call.cold = frozenset(call.marks[call.running.cached // self.block :]) - self._cold
        call.growth = _up(call.expected, self.block)
        self._cold |= call.cold
        self._growth += call.growth

    def computed(self, call: Sequenced) -> None:
        """The prompt of a call has been computed."""
        self._cold -= call.cold
        call.cold = frozenset()

    def end(self, call: Sequenced, generated: Sequence[int]) -> None:
        """A call has ended, with these tokens generated."""
        if call.running is not None:
            self._under_way -= 1
            self.computed(call)
            self._growth -= call.growth
            call.running.end((*call.ids, *generated[:-1]))  # nothing was computed upon the last token
            call.running = None


def _up(tokens: int, block: int) -> int:
    return -(-tokens // block)
