"""Kinds of node that decide which calls are made: direct, cot, react, rewoo, batch, rerank."""

from ..orchestrator.answer import short_answer
from .batch.batch import Batch
from .cot import CoT
from .direct import Direct
from .exemplars import EXEMPLARS, Exemplar, ExemplarStep
from .plan import Plan, PlanStep, Ref, parse_plan
from .react import ReAct
from .rerank import Rerank
from .rewoo import ReWOO
from .trace import Action, Finish, Malformed, parse_turn

__all__ = [
    "EXEMPLARS",
    "Action",
    "Batch",
    "CoT",
    "Direct",
    "Exemplar",
    "ExemplarStep",
    "Finish",
    "Malformed",
    "Plan",
    "PlanStep",
    "ReAct",
    "ReWOO",
    "Ref",
    "Rerank",
    "parse_plan",
    "parse_turn",
    "short_answer",
]
