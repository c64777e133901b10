"""The cache of one pass over several answers: what each has read lies side by side, with room for what is read now."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from transformers import Cache

from .caches import Rows


class SideBySide(Cache):  # type: ignore[misc]  # of transformers, which has no types
    """Copies what was read before once, and gives each answer what the pass has read for it."""

    def __init__(self, answers: Sequence[Rows], new: Sequence[int], layers: int) -> None:
        """`new`: tokens that are read for each of `answers`. `layers`: of the model."""
        super().__init__(layers=[])
        self._answers = answers
        self._new = new
        self._before = sum(answer.length for answer in answers)
        self._layers = layers
        self._places: dict[int, int] = {}
        """Where the keys and values of a layer are; those that are left out have no place."""
        self._rows: Any = None

    def update(self, key_states: Any, value_states: Any, layer_idx: int, *_: Any, **__: Any) -> tuple[Any, Any]:
        """All keys and values of a layer, given those of the tokens that are read now."""
        if self._rows is None:
            self._rows = self._with_room(key_states, value_states)
        here = self._rows[self._places.setdefault(layer_idx, len(self._places))]
        width = key_states.shape[-1]
        here[:, self._before :, :width] = key_states[0]
        here[:, self._before :, width:] = value_states[0]
        return here[None, ..., :width], here[None, ..., width:]

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """How many tokens were read before."""
        return self._before

    def share_out(self) -> None:
        """Give each answer what was read for it."""
        read = self._rows[:, :, self._before :].split(list(self._new), dim=2)
        for answer, rows in zip(self._answers, read, strict=True):
            answer.add(rows)

    def _with_room(self, keys: Any, values: Any) -> Any:
        width = keys.shape[-1] + values.shape[-1]
        rows = keys.new_empty((self._layers, keys.shape[1], self._before + sum(self._new), width))
        start = 0
        for answer in self._answers:
            if answer.length:
                rows[:, :, start : start + answer.length] = answer.rows
                start += answer.length
        return rows
