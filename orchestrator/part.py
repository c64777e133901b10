"""Part: a piece of a flow as its author writes it. A node is one, and so is what decides or checks inside a node."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict

from .template import TemplateMark, tree_references


class RoleMark:
    """Marks fields that name a role of the flow's `models`."""


class ToolMark:
    """Marks fields that name one of the flow's `tools`."""


class PartMark:
    """Marks fields that hold another part, or a list of them."""


ModelRole = Annotated[str, RoleMark()]
"""A field that names a role of the flow's `models`, such as `large`; checked when the flow is loaded."""

ToolName = Annotated[str, ToolMark()]
"""A field that names one of the flow's `tools`; checked when the flow is loaded."""


class Part(BaseModel):
    """Fields that may hold templates, names of models and tools, and further parts."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: ClassVar[str] = ""

    def references(self) -> frozenset[str]:
        """Names of the inputs and nodes that are mentioned in it."""
        mentioned = frozenset[str]()
        for name in marked(type(self), TemplateMark):
            mentioned |= tree_references(getattr(self, name))
        for _, part in self.parts():
            mentioned |= part.references()
        return mentioned

    def parts(self) -> Iterator[tuple[str, Part]]:
        """The parts directly inside this one, with the names of their fields."""
        return parts_in(self)

    def check(self, base: Path) -> None:
        """Look whether the part can work, when its flow is loaded from the folder `base`. Raises FlowError."""

    def written(self) -> dict[str, Any]:
        """The part as plain data, with nothing in it that is a default."""
        return {"kind": self.kind, **self.model_dump(mode="json", exclude_defaults=True)}


def parts_in(holder: BaseModel) -> Iterator[tuple[str, Part]]:
    """The parts directly inside a part or a tool, with the names of their fields."""
    for name in marked(type(holder), PartMark):
        value = getattr(holder, name)
        for part in value if isinstance(value, (list, tuple)) else [value]:
            if part is not None:
                yield name, part


@cache
def marked(cls: type[BaseModel], mark: type) -> tuple[str, ...]:
    """Names of the fields of `cls` whose annotation carries `mark`."""
    return tuple(name for name, field in cls.model_fields.items() if _carries(field, mark))


def _carries(field: Any, mark: type) -> bool:
    if any(isinstance(item, mark) for item in field.metadata):
        return True
    return _mentions(field.annotation, mark)


def _mentions(annotation: Any, mark: type) -> bool:
    """Whether `mark` is somewhere inside an annotation such as `list[ToolName] | None`."""
    if any(isinstance(item, mark) for item in getattr(annotation, "__metadata__", ())):
        return True
    return any(_mentions(inner, mark) for inner in getattr(annotation, "__args__", ()))
