"""The elements of a list that a node works on, and how each is shown to a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import NodeError
from ..orchestrator import Context
from ..orchestrator.scope import Scope
from ..orchestrator.template import as_text, compile_template


def shown_items(ctx: Context, items: Any, item: str, field: str) -> tuple[Sequence[Any], list[str]]:
    """The list that the template tree `items` gives, and each of its elements as the template `item` shows it.

    `item` sees the element as `item` and its place as `index`. Raises NodeError, which names the `field`, for no list.
    """
    elements = ctx.render(items)
    if not isinstance(elements, Sequence) or isinstance(elements, (str, bytes)):
        raise NodeError(f"{field} must be a list, not {type(elements).__name__}: {str(elements)[:80]!r}")
    template = compile_template(item)
    return elements, [
        as_text(template.render(Scope({"item": element, "index": index}, ctx.values)))
        for index, element in enumerate(elements)
    ]
