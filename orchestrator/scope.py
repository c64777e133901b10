"""Scope: the names a template can see, innermost first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


class Scope(Mapping[str, Any]):
    """Values by name, over those of an enclosing scope. The executor writes `own`; everybody else reads."""

    __slots__ = ("_outer", "own")

    def __init__(self, own: dict[str, Any], outer: Mapping[str, Any] | None = None) -> None:
        self.own = own
        self._outer = outer

    def __getitem__(self, name: str) -> Any:
        if name in self.own:
            return self.own[name]
        if self._outer is None:
            raise KeyError(name)
        return self._outer[name]

    def __contains__(self, name: object) -> bool:
        return name in self.own or (self._outer is not None and name in self._outer)

    def __iter__(self) -> Iterator[str]:
        yield from self.own
        if self._outer is not None:
            yield from (name for name in self._outer if name not in self.own)

    def __len__(self) -> int:
        return sum(1 for _ in self)
