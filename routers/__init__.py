"""Kinds of node that decide who answers, and what they decide by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import lazily

if TYPE_CHECKING:
    from .decider import DECIDERS, Decider, Item
    from .deciders.always import Always
    from .deciders.rules import Rule, Rules
    from .deciders.trained import ByClassifier, ByNeighbours
    from .decision import Decision
    from .outcomes import Outcome
    from .route import Route
    from .router_file import load_router, save_router
    from .trained import TrainedRouter, train

__all__ = [
    "DECIDERS",
    "Always",
    "ByClassifier",
    "ByNeighbours",
    "Decider",
    "Decision",
    "Item",
    "Outcome",
    "Route",
    "Rule",
    "Rules",
    "TrainedRouter",
    "load_router",
    "save_router",
    "train",
]

__getattr__, __dir__ = lazily(
    __name__,
    {
        "decider": ("DECIDERS", "Decider", "Item"),
        "deciders.always": ("Always",),
        "deciders.rules": ("Rule", "Rules"),
        "deciders.trained": ("ByClassifier", "ByNeighbours"),
        "decision": ("Decision",),
        "outcomes": ("Outcome",),
        "route": ("Route",),
        "router_file": ("load_router", "save_router"),
        "trained": ("TrainedRouter", "train"),
    },
)
