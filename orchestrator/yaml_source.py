"""YAML in and out: plain data, and the line on which each key stands.

Only plain data is read (no tags that make objects). A doubled key is an error: YAML would silently keep the last.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import yaml

from ..errors import FlowError

Path = tuple[str | int, ...]


@dataclass
class Source:
    """A parsed YAML text. `lines` maps the path of every key to its line, counted from 1."""

    name: str
    data: Any = None
    lines: dict[Path, int] = field(default_factory=dict)

    def where(self, at: Path) -> str:
        """`file:line` of a key; of the nearest key above it, if the key itself is not written."""
        while at and at not in self.lines:
            at = at[:-1]
        return f"{self.name}:{self.lines.get(at, 1)}"

    def change(self, key: str, value: Any) -> None:
        """Replace the value at a dotted key such as `tools.search.top`. Raises FlowError if there is no such place."""
        *above, last = key.split(".")
        place = self.data
        for depth, name in enumerate(above):
            if not isinstance(place, dict) or not isinstance(place.get(name), dict):
                raise FlowError(f"there is nothing at {'.'.join(above[: depth + 1])!r} to change", where=self.name)
            place = place[name]
        place[last] = value


def read_yaml(text: str, name: str) -> Source:
    """Parse `text`. Raises FlowError with file and line."""
    source = Source(name)
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is not None:
            source.data = _build(loader, node, (), source)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise FlowError(f"this is not YAML: {error.problem or error.context}", where=f"{name}:{line}") from error
    except yaml.YAMLError as error:
        raise FlowError(f"this is not YAML: {error}", where=name) from error
    finally:
        loader.dispose()
    return source


def _build(loader: yaml.SafeLoader, node: yaml.Node, at: Path, source: Source) -> Any:
    source.lines.setdefault(at, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        loader.flatten_mapping(node)
        mapping: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            key = loader.construct_object(key_node, deep=True)
            line = key_node.start_mark.line + 1
            if not isinstance(key, (str, int)):
                raise FlowError(f"a key must be a word or a number, not {key!r}", where=f"{source.name}:{line}")
            if key in mapping:
                raise FlowError(
                    f"the key {key!r} is written twice (first on line {source.lines[(*at, key)]})",
                    where=f"{source.name}:{line}",
                )
            source.lines[(*at, key)] = line
            mapping[key] = _build(loader, value_node, (*at, key), source)
        return mapping
    if isinstance(node, yaml.SequenceNode):
        return [_build(loader, item, (*at, index), source) for index, item in enumerate(node.value)]
    return loader.construct_object(node, deep=True)


class _Dumper(yaml.SafeDumper):
    """Multi-line text as blocks, so that a dumped prompt can be read."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    # YAML reads U+0085 as a line break wherever it stands unescaped.
    style = '"' if "\x85" in value else "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def write_yaml(data: Any) -> str:
    """Plain data as YAML, keys in the order given."""
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
