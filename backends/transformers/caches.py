"""What a model has read already, kept so that the next prompt that begins alike is only read from there on."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

ROOM = 128
"""Tokens that room is made for at a time."""


class Rows:
    """Keys and values of all layers in one tensor, so that what a pass leaves for many answers is handed out at once.

    [layers, heads, tokens, width of a key and of a value]
    """

    can_be_cut = True

    def __init__(self) -> None:
        self.length = 0
        """Tokens."""
        self._rows: Any = None
        """With room behind them; None until there are some."""

    @property
    def rows(self) -> Any:
        """Those of all tokens, of which there is one at least."""
        return self._rows[:, :, : self.length]

    def add(self, rows: Any) -> None:
        """Keep those of further tokens."""
        length = self.length + rows.shape[2]
        if self._rows is None or length > self._rows.shape[2]:
            layers, heads, _, width = rows.shape
            roomier = rows.new_empty((layers, heads, -(-length // ROOM) * ROOM, width))
            if self._rows is not None:
                roomier[:, :, : self.length] = self.rows
            self._rows = roomier
        self._rows[:, :, self.length : length] = rows
        self.length = length

    def cut(self, length: int) -> None:
        """Forget those behind `length` tokens."""
        self.length = length

    def copy(self, length: int) -> Rows:
        """The first `length` of them."""
        copied = Rows()
        copied.add(self._rows[:, :, :length])
        return copied


class Layers:
    """Keys and values as transformers keeps them, for a model whose answers share no passes."""

    def __init__(self, cache: Any = None) -> None:
        from transformers import DynamicCache

        self.cache = DynamicCache() if cache is None else cache

    @property
    def can_be_cut(self) -> bool:
        """Whether all that was read is still there: a layer with a sliding window has forgotten some."""
        return not any(getattr(layer, "is_sliding", False) for layer in self.cache.layers)

    def cut(self, length: int) -> None:
        """Forget those behind `length` tokens."""
        for layer in self.cache.layers:
            if layer.keys is not None:  # a layer that is left out has none
                layer.keys, layer.values = layer.keys[..., :length, :], layer.values[..., :length, :]

    def copy(self, length: int) -> Layers:
        """The first `length` of them."""
        copied = Layers(copy.deepcopy(self.cache))
        copied.cut(length)
        return copied


class Reading:
    """Token ids that a model has read, with its keys and values for them."""

    __slots__ = ("ids", "kept")

    def __init__(self, kept: Rows | Layers, ids: list[int] | None = None) -> None:
        self.kept = kept
        self.ids = ids or []

    def shared(self, ids: Sequence[int]) -> int:
        """How many of `ids`, from the first on, it has read."""
        if self.ids == ids[: len(self.ids)]:  # the rule, and quickly seen
            return len(self.ids)
        pairs = enumerate(zip(self.ids, ids, strict=False))
        return next((place for place, (read, asked) in pairs if read != asked), min(len(self.ids), len(ids)))

    def cut(self, length: int) -> None:
        """Forget what was read behind `length` tokens."""
        self.kept.cut(length)
        del self.ids[length:]


def new_reading(*, shares: bool) -> Reading:
    """One of nothing yet, of a model whose answers share passes or do not."""
    return Reading(Rows() if shares else Layers())


class Readings:
    """The latest readings of a model, at most `most` of them; the one that was not used for longest is given up."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: list[Reading] = []

    def best(self, ids: Sequence[int]) -> Reading | None:
        """The reading of the longest beginning of `ids`, cut before their last token, which must be read again to know
        what follows; None if there is none. It is nobody else's until it is given back by `keep`.
        """
        best = max(self._kept, key=lambda reading: reading.shared(ids), default=None)
        length = 0 if best is None else min(best.shared(ids), len(ids) - 1)
        if best is None or length == 0 or not (length == len(best.ids) or best.kept.can_be_cut):
            return None
        oldest_of_all = len(self._kept) == self._most and best is self._kept[0]
        if length >= len(best.ids) - 1 or oldest_of_all:
            self._kept.remove(best)
        else:
            return Reading(best.kept.copy(length), best.ids[:length])  # another prompt may go on with it
        best.cut(length)
        return best

    def keep(self, reading: Reading) -> None:
        """Give a reading back, as the latest."""
        self._kept.append(reading)
        del self._kept[: -self._most]

    def clear(self) -> None:
        """Forget all."""
        self._kept.clear()
