"""The same calls summed the way a paper summed its own, beside the honest sum.

Published token counts each leave something out. A view computes a paper's figure from our calls, so that a result can
be held against the published one, and says in words and tokens what that figure leaves out. How a paper counted is
written in `published_...`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from ..errors import LedgerError
from . import published_batchprompt, published_messages, published_rewoo
from .call import Call
from .totals import Total

if TYPE_CHECKING:
    from .prices import Price

Prices = Mapping[str, "Price"] | None


class View(msgspec.Struct, frozen=True, kw_only=True):
    """One way of summing. `total` is the view's sum, `honest` the sum of everything."""

    name: str
    description: str
    leaves_out: tuple[str, ...]
    """What of the calls at hand `total` does not hold, each in words with its figures; empty if nothing."""
    total: Total
    honest: Total

    def show(self) -> str:
        """The view in a few lines."""
        return "\n".join(
            [
                f"{self.name}: {self.total.show('total')} tokens (honest: {self.honest.show('total')})",
                self.description,
                *(f"leaves out {line}" for line in self.leaves_out),
            ]
        )


Sum = Callable[[Sequence[Call], Prices], tuple[Total, tuple[str, ...]]]
"""From calls and prices to the view's total and what it leaves out."""

_VIEWS: dict[str, tuple[str, Sum]] = {}


def register_view(name: str, description: str) -> Callable[[Sum], Sum]:
    """Make a function known as the view `name`."""

    def keep(function: Sum) -> Sum:
        _VIEWS[name] = (description, function)
        return function

    return keep


def view_names() -> dict[str, str]:
    """The names of all views with their descriptions."""
    return {name: description for name, (description, _) in sorted(_VIEWS.items())}


def view(name: str, calls: Sequence[Call], prices: Prices = None) -> View:
    """Sum `calls` the way `name` does. Raises LedgerError if there is no such view."""
    if name not in _VIEWS:
        raise LedgerError(f"there is no view {name!r}; there are {', '.join(sorted(_VIEWS))}")
    description, function = _VIEWS[name]
    total, leaves_out = function(calls, prices)
    return View(name=name, description=description, leaves_out=leaves_out, total=total, honest=Total.of(calls, prices))


@register_view("honest", "Every token of every attempt: failed, aborted, discarded and tool-side calls too.")
def _honest(calls: Sequence[Call], prices: Prices) -> tuple[Total, tuple[str, ...]]:
    return Total.of(calls, prices), ()


register_view("published:rewoo", published_rewoo.DESCRIPTION)(published_rewoo.summed)
register_view("published:batchprompt", published_batchprompt.DESCRIPTION)(published_batchprompt.summed)
register_view("published:optima", published_messages.OPTIMA)(published_messages.summed)
register_view("published:autoform", published_messages.AUTOFORM)(published_messages.summed)
