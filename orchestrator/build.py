"""From what an author wrote to checked objects, with messages that say where and what was meant."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from ..errors import FlowError
from .inputs import InputSpec
from .models import ModelSpec
from .node import KINDS, Node
from .part import Part, marked
from .registry import Registry, nearest
from .template import TemplateMark, tree_references
from .tool import TOOLS, Tool

Path = tuple[str | int, ...]
Built = TypeVar("Built", bound=BaseModel)
PartType = TypeVar("PartType", bound=Part)


def build_inputs(written: Mapping[str, Any]) -> dict[str, InputSpec]:
    """The `inputs` section: name -> spec."""
    built: dict[str, InputSpec] = {}
    for name, spec in _mapping(written, "inputs").items():
        try:
            built[str(name)] = InputSpec.of(spec)
        except ValidationError as error:
            raise explained(error, InputSpec, f"the input {name!r}", ("inputs", name)) from None
        except FlowError as error:
            raise FlowError(error.plain, at=("inputs", name)) from error
    return built


def build_models(written: Mapping[str, Any]) -> dict[str, ModelSpec]:
    """The `models` section: role -> spec."""
    return _each(
        written,
        "models",
        ModelSpec,
        lambda role, fields: _make(ModelSpec, fields, f"the model {role!r}", ("models", role)),
    )


def build_tools(written: Mapping[str, Any]) -> dict[str, Tool]:
    """The `tools` section: name -> tool."""
    return _each(written, "tools", Tool, lambda name, fields: _of_kind(TOOLS, name, fields, ("tools", name)))


def build_nodes(written: Mapping[str, Any]) -> dict[str, Node]:
    """The `nodes` section: name -> node, its templates parsed."""
    nodes: dict[str, Node] = _each(
        written, "nodes", Node, lambda name, fields: _of_kind(KINDS, name, fields, ("nodes", name))
    )
    for name, node in nodes.items():
        _parse_templates(node, ("nodes", name))
    return nodes


def part_reader(registry: Registry[PartType]) -> Callable[[Any], Any]:
    """What makes a part of the classes in `registry` of what an author wrote: its kind, or a mapping with its kind."""

    def read(written: Any) -> Any:
        if isinstance(written, Part):
            return written
        if not isinstance(written, (str, Mapping)):
            raise ValueError(f"a {registry.noun} is written as its kind, or as a mapping with its kind")
        fields = {"kind": written} if isinstance(written, str) else {str(key): value for key, value in written.items()}
        try:
            return _of_kind(registry, registry.noun, fields, ())
        except FlowError as error:
            raise ValueError(error.plain) from error

    return read


def _parse_templates(part: Part, at: Path) -> None:
    for field in marked(type(part), TemplateMark):
        try:
            tree_references(getattr(part, field))
        except FlowError as error:
            raise FlowError(error.plain, at=(*at, field)) from error
    for field, inner in part.parts():
        _parse_templates(inner, (*at, field))


def _each(
    written: Any, section: str, done: type[Built], build: Callable[[str, dict[str, Any]], Built]
) -> dict[str, Built]:
    built: dict[str, Built] = {}
    for name, fields in _mapping(written, section).items():
        if isinstance(fields, done):
            built[str(name)] = fields
        elif isinstance(fields, Mapping):
            built[str(name)] = build(str(name), {str(key): value for key, value in fields.items()})
        else:
            raise FlowError(f"{name!r} must be a mapping, not {type(fields).__name__}", at=(section, name))
    return built


def _mapping(written: Any, section: str) -> Mapping[Any, Any]:
    if not isinstance(written, Mapping):
        raise FlowError(f"{section} must be a mapping of names, not {type(written).__name__}", at=(section,))
    return written


def _of_kind(registry: Registry[Built], name: str, fields: dict[str, Any], at: Path) -> Built:
    kind = fields.pop("kind", None)
    if kind is None:
        raise FlowError(f"{name!r} does not say its kind{nearest('', registry.names())}", at=at)
    try:
        cls = registry.find(str(kind))
    except FlowError as error:
        raise FlowError(error.plain, at=(*at, "kind")) from error
    return _make(cls, fields, f"{name!r} (kind {kind})", at)


def _make(cls: type[Built], fields: dict[str, Any], what: str, at: Path) -> Built:
    try:
        return cls(**fields)
    except ValidationError as error:
        raise explained(error, cls, what, at) from None


def explained(error: ValidationError, cls: type[BaseModel], what: str, at: Path) -> FlowError:
    """The first thing pydantic found wrong, in our words."""
    first = error.errors()[0]
    place = tuple(first["loc"])
    field = place[0] if place else ""
    if first["type"] == "extra_forbidden":
        known = list(cls.model_fields) if len(place) == 1 else []
        hint = nearest(str(field), known) if known else ""
        return FlowError(f"{what} has no field {'.'.join(map(str, place))!r}{hint}", at=(*at, *place))
    if first["type"] == "missing":
        return FlowError(f"{what} needs the field {'.'.join(map(str, place))!r}", at=at)
    if first["type"] == "value_error":
        return FlowError(f"{what}: {first['ctx']['error']}", at=(*at, *place))
    return FlowError(
        f"{what}: {'.'.join(map(str, place))}: {first['msg']}, not {first['input']!r:.80}", at=(*at, *place)
    )
