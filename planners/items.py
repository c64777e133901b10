"""The elements of a list that a node works on, and how each is shown to a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import LaconicError, NodeError
from ..orchestrator import Context
from ..orchestrator.scope import Scope
from ..orchestrator.template import as_text, compile_template


def listed(ctx: Context, items: Any, field: str) -> Sequence[Any]:
    """The list that the template tree in a node's `field` gives. Raises NodeError for anything else."""
    elements = ctx.render(items)
    if not isinstance(elements, Sequence) or isinstance(elements, (str, bytes)):
        raise NodeError(f"{field} must be a list, not {type(elements).__name__}: {str(elements)[:80]!r}")
    return elements


def shown_items(ctx: Context, elements: Sequence[Any], item: str) -> list[str]:
    """Each element as the template `item` shows it, which sees it as `item` and its place as `index`.

    Raises NodeError naming the first that cannot be shown.
    """
    return [_shown(ctx, item, index, element) for index, element in enumerate(elements)]


def _shown(ctx: Context, item: str, index: int, element: Any) -> str:
    try:
        return as_text(compile_template(item).render(Scope({"item": element, "index": index}, ctx.values)))
    except LaconicError as error:
        raise NodeError(f"item {index + 1} of the list, {str(element)[:80]!r}, cannot be shown: {error}") from error
