"""Accounting: every token has an owner, every budget is a wall.

`Meter` is the one door to the models; it books each attempt as a `Call` in the `Ledger`, keeps answers in the `Store`
and reserves room in every `BudgetScope` first. `Database` keeps all of it in one SQLite file; `Total`, `View` and
`reconcile` add it up, hold it against published figures and against the server's own counters.
Every name is imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .audit import Figures, Reconciliation, reconcile
    from .budget import Amount, Budget, BudgetScope, Left
    from .call import Call, Owner, Status
    from .database import Database
    from .ledger import Ledger
    from .meter import Meter, MeteredModel
    from .prices import Price, activated
    from .reservation import Reservation
    from .runs import RunRecord
    from .store import Store, request_key
    from .totals import Total
    from .views import View, register_view, view, view_names

__all__ = [
    "Amount",
    "Budget",
    "BudgetScope",
    "Call",
    "Database",
    "Figures",
    "Ledger",
    "Left",
    "Meter",
    "MeteredModel",
    "Owner",
    "Price",
    "Reconciliation",
    "Reservation",
    "RunRecord",
    "Status",
    "Store",
    "Total",
    "View",
    "activated",
    "reconcile",
    "register_view",
    "request_key",
    "view",
    "view_names",
]

_HOMES = {
    "audit": ("Figures", "Reconciliation", "reconcile"),
    "budget": ("Amount", "Budget", "BudgetScope", "Left"),
    "call": ("Call", "Owner", "Status"),
    "database": ("Database",),
    "ledger": ("Ledger",),
    "meter": ("Meter", "MeteredModel"),
    "prices": ("Price", "activated"),
    "reservation": ("Reservation",),
    "runs": ("RunRecord",),
    "store": ("Store", "request_key"),
    "totals": ("Total",),
    "views": ("View", "register_view", "view", "view_names"),
}
"""Which module of this folder each public name lives in. No public name is a module's: one would hide the other."""

_HOME = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Import the module a public name lives in, and keep the name (PEP 562)."""
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{home}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
