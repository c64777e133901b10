"""Where kinds of nodes and tools are found by name: registered by a decorator, or by an installed package.

The engine knows no kind. A class registers itself with `@kind("name")` or `@tool("name")`; a package announces its
classes in the entry-point groups `laconic.kinds` and `laconic.tools`, and they are imported when a flow names them.
Laconic's own kinds come in by the same door (`pyproject.toml`).
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, TypeVar

from ..errors import FlowError

T = TypeVar("T")
C = TypeVar("C")


class Registry(Generic[T]):
    """Classes by name. `noun` says what they are in messages; `group` is the entry-point group."""

    def __init__(self, noun: str, group: str) -> None:
        self.noun = noun
        self._group = group
        self._classes: dict[str, type[T]] = {}
        self._announced: dict[str, EntryPoint] | None = None

    def register(self, name: str, cls: type[T]) -> None:
        """Make `cls` known as `name`; a name belongs to one class."""
        known = self._classes.get(name)
        if known is not None and (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
            raise FlowError(f"the {self.noun} {name!r} is already {known.__module__}.{known.__qualname__}")
        self._classes[name] = cls

    def named(self, name: str) -> Callable[[type[C]], type[C]]:
        """Class decorator: make a class known as `name`, which becomes its `kind`."""

        def register(cls: type[C]) -> type[C]:
            cls.kind = name  # type: ignore[attr-defined]  # every class that a flow names has a `kind`
            self.register(name, cls)  # type: ignore[arg-type]  # C is a T: a type variable cannot say so
            return cls

        return register

    def find(self, name: str) -> type[T]:
        """The class of that name. Raises FlowError with the nearest names."""
        if name not in self._classes:
            announced = self._entries()
            if name not in announced:
                raise FlowError(f"there is no {self.noun} {name!r}{nearest(name, self.names())}")
            announced[name].load()
        return self._classes[name]

    def names(self) -> list[str]:
        """All names that can be found, sorted."""
        return sorted({*self._classes, *self._entries()})

    def _entries(self) -> dict[str, EntryPoint]:
        if self._announced is None:
            self._announced = {entry.name: entry for entry in entry_points(group=self._group)}
        return self._announced


def nearest(name: str, names: list[str]) -> str:
    """The tail of a message about a wrong name: what was probably meant, or what there is."""
    close = difflib.get_close_matches(name, names, n=1)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; there is: {', '.join(sorted(names))}" if names else "; there is none"
