"""Kinds of node that decide who answers, and what they decide by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import lazily

if TYPE_CHECKING:
    from .calibration import Calibration, fit_calibration
    from .cascade import Cascade
    from .check import CHECKS, Answer, Check, Judgement
    from .checks.agrees import Agrees
    from .checks.executes import Executes
    from .checks.expression import Expression
    from .checks.logprob import TokenLikelihood
    from .checks.schema import Schema
    from .checks.verifier import Verifier
    from .consensus import Consensus
    from .decider import DECIDERS, Decider, Item
    from .deciders.always import Always
    from .deciders.llm import LLM
    from .deciders.logprob import Logprob
    from .deciders.rules import Rule, Rules
    from .deciders.trained import ByClassifier, ByNeighbours
    from .decision import Decision
    from .format import Format
    from .outcomes import Outcome
    from .outline import Outline
    from .route import Route
    from .routed import Routed, Share, Span
    from .router_file import load_router, save_router
    from .single_token import decide_by_token
    from .step_route import StepRoute
    from .token_labels import TokenLabels
    from .token_route import TokenRoute
    from .trained import TrainedRouter, train

__all__ = [
    "CHECKS",
    "DECIDERS",
    "LLM",
    "Agrees",
    "Always",
    "Answer",
    "ByClassifier",
    "ByNeighbours",
    "Calibration",
    "Cascade",
    "Check",
    "Consensus",
    "Decider",
    "Decision",
    "Executes",
    "Expression",
    "Format",
    "Item",
    "Judgement",
    "Logprob",
    "Outcome",
    "Outline",
    "Route",
    "Routed",
    "Rule",
    "Rules",
    "Schema",
    "Share",
    "Span",
    "StepRoute",
    "TokenLabels",
    "TokenLikelihood",
    "TokenRoute",
    "TrainedRouter",
    "Verifier",
    "decide_by_token",
    "fit_calibration",
    "load_router",
    "save_router",
    "train",
]

__getattr__, __dir__ = lazily(
    __name__,
    {
        "calibration": ("Calibration", "fit_calibration"),
        "cascade": ("Cascade",),
        "check": ("CHECKS", "Answer", "Check", "Judgement"),
        "checks.agrees": ("Agrees",),
        "checks.executes": ("Executes",),
        "checks.expression": ("Expression",),
        "checks.logprob": ("TokenLikelihood",),
        "checks.schema": ("Schema",),
        "checks.verifier": ("Verifier",),
        "consensus": ("Consensus",),
        "decider": ("DECIDERS", "Decider", "Item"),
        "deciders.always": ("Always",),
        "deciders.llm": ("LLM",),
        "deciders.logprob": ("Logprob",),
        "deciders.rules": ("Rule", "Rules"),
        "deciders.trained": ("ByClassifier", "ByNeighbours"),
        "decision": ("Decision",),
        "format": ("Format",),
        "outcomes": ("Outcome",),
        "outline": ("Outline",),
        "route": ("Route",),
        "routed": ("Routed", "Share", "Span"),
        "router_file": ("load_router", "save_router"),
        "single_token": ("decide_by_token",),
        "step_route": ("StepRoute",),
        "token_labels": ("TokenLabels",),
        "token_route": ("TokenRoute",),
        "trained": ("TrainedRouter", "train"),
    },
)
