"""Accounting: every token has an owner, every budget is a wall.

`Meter` is the one door to the models; it books each attempt as a `Call` in the `Ledger`, keeps answers in the `Store`
and reserves room in every `BudgetScope` first. `Database` keeps all of it in one SQLite file; `Total` and `View`
add it up and hold it against published figures, `Audit` and `reconcile` against the server's own counters.
Every name is imported when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import lazily

if TYPE_CHECKING:
    from .activation import Activated, Work, activated_by
    from .audit import Audit
    from .budget import Amount, Budget, BudgetScope, Left
    from .calibration import Calibration, load_calibration, save_calibration
    from .call import Call, Owner, Status
    from .database import Database
    from .ledger import Ledger
    from .meter import Meter, MeteredModel
    from .prices import Price, activated
    from .proofs import Proofs, prove
    from .readings import Reading
    from .reconciliation import Figures, Reconciliation, reconcile
    from .reservation import Reservation
    from .runs import RunRecord
    from .runtimes import IdealRuntime, ideal_runtime
    from .store import Store, request_key
    from .totals import Total
    from .views import View, register_view, view, view_names

__all__ = [
    "Activated",
    "Amount",
    "Audit",
    "Budget",
    "BudgetScope",
    "Calibration",
    "Call",
    "Database",
    "Figures",
    "IdealRuntime",
    "Ledger",
    "Left",
    "Meter",
    "MeteredModel",
    "Owner",
    "Price",
    "Proofs",
    "Reading",
    "Reconciliation",
    "Reservation",
    "RunRecord",
    "Status",
    "Store",
    "Total",
    "View",
    "Work",
    "activated",
    "activated_by",
    "ideal_runtime",
    "load_calibration",
    "prove",
    "reconcile",
    "register_view",
    "request_key",
    "save_calibration",
    "view",
    "view_names",
]

_HOMES = {
    "activation": ("Activated", "Work", "activated_by"),
    "audit": ("Audit",),
    "budget": ("Amount", "Budget", "BudgetScope", "Left"),
    "calibration": ("Calibration", "load_calibration", "save_calibration"),
    "call": ("Call", "Owner", "Status"),
    "database": ("Database",),
    "ledger": ("Ledger",),
    "meter": ("Meter", "MeteredModel"),
    "prices": ("Price", "activated"),
    "proofs": ("Proofs", "prove"),
    "readings": ("Reading",),
    "reconciliation": ("Figures", "Reconciliation", "reconcile"),
    "reservation": ("Reservation",),
    "runs": ("RunRecord",),
    "runtimes": ("IdealRuntime", "ideal_runtime"),
    "store": ("Store", "request_key"),
    "totals": ("Total",),
    "views": ("View", "register_view", "view", "view_names"),
}

__getattr__, __dir__ = lazily(__name__, _HOMES)
