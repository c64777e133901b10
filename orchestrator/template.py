"""Templates: how a node's fields mention inputs and other nodes.

A template is Jinja2 text, rendered in an immutable sandbox with strict undefined names. A template that is exactly one
`{{ expression }}` gives the expression's own value (a list stays a list); any other gives text, in which lists and
mappings appear as JSON and None as nothing. Values are inserted, never rendered again: a document that holds `{{ x }}`
is inert.
"""

from __future__ import annotations

import json
import keyword
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any

from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError, UndefinedError, meta, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from ..errors import FlowError, NodeError


class TemplateMark:
    """Marks the fields of a node in which templates are rendered."""


Template = Annotated[str, TemplateMark()]
"""A text field in which `{{ name }}` mentions an input or another node."""

TemplateTree = Annotated[Any, TemplateMark()]
"""A value (text, list, mapping, nested) in whose strings templates are rendered."""


def _show(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, (dict, list, tuple)):
        return json.dumps(value, ensure_ascii=False, default=str)
    return value


_ENVIRONMENT = ImmutableSandboxedEnvironment(
    undefined=StrictUndefined, finalize=_show, autoescape=False, keep_trailing_newline=True
)
_ENVIRONMENT.filters["tojson"] = lambda value: json.dumps(value, ensure_ascii=False, default=str)


_SINGLE = re.compile(r"\s*\{\{\s*([^\W\d]\w*)\s*\}\}\s*")
"""A template that is just one name: most are, and they need no parser."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """A parsed template: the names it mentions and a function from values to the result."""

    text: str
    references: frozenset[str]
    name: str | None
    """The one name it consists of, if it is just `{{ name }}`: the fast path."""
    expression: Any
    """A Jinja2 expression, if the template is exactly one; None otherwise."""
    body: Any
    """A Jinja2 template, if it is neither constant text nor an expression."""

    def render(self, values: Mapping[str, Any]) -> Any:
        """The template with `values` filled in. Raises NodeError naming what is missing."""
        if self.name is not None:
            return values[self.name]
        if self.expression is None and self.body is None:
            return self.text
        mentioned = {name: values[name] for name in self.references}
        try:
            if self.expression is not None:
                value = self.expression(**mentioned)
                if isinstance(value, StrictUndefined):
                    str(value)  # raises UndefinedError with Jinja2's own words
                return value
            return self.body.render(mentioned)
        except UndefinedError as error:
            raise NodeError(f"the template {self.text!r} asks for something that is not there: {error}") from error
        except TemplateError as error:
            raise NodeError(f"the template {self.text!r} cannot be rendered: {error}") from error
        except (TypeError, ValueError, ArithmeticError, LookupError) as error:
            raise NodeError(
                f"the template {self.text!r} cannot be rendered: {type(error).__name__}: {error}"
            ) from error


@lru_cache(maxsize=65536)
def compile_template(text: str) -> Compiled:
    """Parse `text` once. Raises FlowError with the template's own line if it is not a template."""
    if "{{" not in text and "{%" not in text and "{#" not in text:
        return Compiled(text, frozenset(), None, None, None)
    single = _SINGLE.fullmatch(text)
    if single is not None and (is_name(single[1]) or single[1] in ("item", "index")):
        return Compiled(text, frozenset({single[1]}), single[1], None, None)
    try:
        tree = _ENVIRONMENT.parse(text if _bare(text) is None else text.strip())
        references = frozenset(meta.find_undeclared_variables(tree))
    except TemplateSyntaxError as error:
        raise FlowError(f"the template does not parse (its line {error.lineno}): {error.message}: {text!r}") from error
    match tree.body:
        case [nodes.Output(nodes=[nodes.Name(name=name)])] if _bare(text) == name:
            return Compiled(text, references, name, None, None)
        case [nodes.Output(nodes=[node])] if not isinstance(node, nodes.TemplateData) and _bare(text) is not None:
            expression = _ENVIRONMENT.compile_expression(_bare(text) or "", undefined_to_none=False)
            return Compiled(text, references, None, expression, None)
        case _:
            return Compiled(text, references, None, None, _ENVIRONMENT.from_string(text))


def _bare(text: str) -> str | None:
    stripped = text.strip()
    if not (stripped.startswith("{{") and stripped.endswith("}}")):
        return None
    return stripped[2:-2].removeprefix("-").removesuffix("-").strip()


def tree_references(value: Any) -> frozenset[str]:
    """The names that a template, or a tree of templates, mentions."""
    return frozenset(name for text in _texts(value) for name in compile_template(text).references)


def render_tree(value: Any, values: Mapping[str, Any]) -> Any:
    """`value` with every template in it rendered; the shape stays."""
    if isinstance(value, str):
        return compile_template(value).render(values)
    if isinstance(value, Mapping):
        return {key: render_tree(inner, values) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [render_tree(inner, values) for inner in value]
    return value


def as_text(value: Any) -> str:
    """A rendered value as it appears inside a prompt."""
    return value if isinstance(value, str) else str(_show(value))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _texts(inner)


def is_name(text: str) -> bool:
    """Whether a template can mention this name."""
    return text.isidentifier() and not keyword.iskeyword(text) and text not in RESERVED


RESERVED = frozenset(
    {
        "item",
        "index",
        "loop",
        "self",
        "true",
        "false",
        "none",
        "True",
        "False",
        "None",
        "and",
        "or",
        "not",
        "if",
        "in",
        "is",
    }
)
"""Names a node or an input cannot have: the variables of `for_each`, and Jinja2's own words."""
