"""Kinds of node that decide who answers, and what they decide by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import lazily

if TYPE_CHECKING:
    from .decider import DECIDERS, Decider, Item
    from .deciders.always import Always
    from .deciders.rules import Rule, Rules
    from .decision import Decision
    from .route import Route

__all__ = ["DECIDERS", "Always", "Decider", "Decision", "Item", "Route", "Rule", "Rules"]

__getattr__, __dir__ = lazily(
    __name__,
    {
        "decider": ("DECIDERS", "Decider", "Item"),
        "deciders.always": ("Always",),
        "deciders.rules": ("Rule", "Rules"),
        "decision": ("Decision",),
        "route": ("Route",),
    },
)
