"""What a model has read already, kept so that the next prompt that begins alike is only read from there on."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any


class Reading:
    """Token ids that a model has read, with its keys and values for them."""

    __slots__ = ("cache", "ids")

    def __init__(self, cache: Any, ids: list[int] | None = None) -> None:
        self.cache = cache
        self.ids = ids or []

    def shared(self, ids: Sequence[int]) -> int:
        """How many of `ids`, from the first on, it has read."""
        number = 0
        for read, asked in zip(self.ids, ids, strict=False):
            if read != asked:
                break
            number += 1
        return number

    def cut(self, length: int) -> None:
        """Forget what was read behind `length` tokens."""
        for layer in self.cache.layers:
            if layer.keys is not None:  # a layer that is left out has none
                layer.keys, layer.values = layer.keys[..., :length, :], layer.values[..., :length, :]
        del self.ids[length:]

    @property
    def can_be_cut(self) -> bool:
        """Whether all that was read is still there: a layer with a sliding window has forgotten some."""
        return not any(getattr(layer, "is_sliding", False) for layer in self.cache.layers)


def new_cache() -> Any:
    """Keys and values of nothing yet."""
    from transformers import DynamicCache

    return DynamicCache()


def new_reading() -> Reading:
    """One of nothing yet."""
    return Reading(new_cache())


class Readings:
    """The latest readings of a model, at most `most` of them; the one that was not used for longest is given up."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: list[Reading] = []

    def best(self, ids: Sequence[int]) -> Reading:
        """A reading of as many of the first of `ids` as any has read, the last of them left out: what comes next is
        only known when that is read again. It is nobody else's until it is given back by `keep`.
        """
        best = max(self._kept, key=lambda reading: reading.shared(ids), default=None)
        length = 0 if best is None else min(best.shared(ids), len(ids) - 1)
        if best is None or length == 0 or not (length == len(best.ids) or best.can_be_cut):
            return new_reading()
        oldest_of_all = len(self._kept) == self._most and best is self._kept[0]
        if length >= len(best.ids) - 1 or oldest_of_all:
            self._kept.remove(best)
        else:
            best = Reading(copy.deepcopy(best.cache), list(best.ids))  # another prompt may go on with it
        best.cut(length)
        return best

    def keep(self, reading: Reading) -> None:
        """Give a reading back, as the latest."""
        self._kept.append(reading)
        del self._kept[: -self._most]

    def clear(self) -> None:
        """Forget all."""
        self._kept.clear()
