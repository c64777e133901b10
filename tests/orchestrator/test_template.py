"""Templates: what they give, what they refuse, and that inserted text stays text."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laconic.errors import FlowError, NodeError
from laconic.orchestrator.template import compile_template, render_tree, tree_references

HOSTILE = "{{ secret }} {% for x in y %} {# note #} #E3 Plan: Answer: <b>&amp;</b>"


def render(text: str, **values: Any) -> Any:
    return compile_template(text).render(values)


@pytest.mark.parametrize(
    ("text", "values", "result"),
    [
        ("plain { text }", {}, "plain { text }"),
        ("{{ a }}", {"a": [1, 2]}, [1, 2]),
        (" {{ a }} ", {"a": None}, None),
        ("{{ a | length > 2 }}", {"a": "abc"}, True),
        ("{{ a or b }}", {"a": None, "b": "b"}, "b"),
        ("{{ a.b[0] }}", {"a": {"b": [7]}}, 7),
        ("<{{ a }}>", {"a": {"k": ["v", 1]}}, '<{"k": ["v", 1]}>'),
        ("<{{ a }}>", {"a": None}, "<>"),
        ("{{ a }}{{ b }}", {"a": 1, "b": 2}, "12"),
        ("{{ a }} and }} {{ b }}", {"a": 1, "b": 2}, "1 and }} 2"),
        ("{% if a %}yes{% endif %}", {"a": True}, "yes"),
        ("{{ a | tojson }}", {"a": {"é": 1}}, '{"é": 1}'),
        ("{{- a -}}", {"a": 3}, 3),
    ],
)
def test_what_a_template_gives(text: str, values: dict[str, Any], result: Any) -> None:
    assert render(text, **values) == result


@given(st.text())
def test_inserted_text_is_never_read_as_a_template(text: str) -> None:
    for hostile in (text, HOSTILE + text):
        assert render("{{ a }}", a=hostile) == hostile
        assert render("<{{ a }}>", a=hostile) == f"<{hostile}>"
        assert render_tree({"x": ["{{ a }}"]}, {"a": hostile}) == {"x": [hostile]}


def test_the_names_a_template_mentions() -> None:
    tree = {"a": "{{ x }} {{ y | length }}", "b": ["{% for i in z %}{{ i }}{% endfor %}", 3]}
    assert tree_references(tree) == {"x", "y", "z"}


@pytest.mark.parametrize("text", ["{{ a", "{% if %}", "{{ a b }}", "{{ a | nosuchfilter }}"])
def test_what_does_not_parse_is_refused_when_the_flow_is_loaded(text: str) -> None:
    with pytest.raises(FlowError, match="template"):
        compile_template(text)


@pytest.mark.parametrize(
    "text",
    [
        "{{ a.missing }}",
        "{{ a.missing }}!",
        "{{ ''.__class__.__mro__ }}",
        "{{ a.update({'x': 1}) }}!",
        "{{ 1 // 0 }}",
        "{{ range(10000000000) | list }}",
    ],
)
def test_what_cannot_be_rendered_says_so(text: str) -> None:
    with pytest.raises(NodeError, match="template"):
        render(text, a={})
