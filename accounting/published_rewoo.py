"""How the ReWOO paper (arXiv 2305.18323) counted its tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from .call import ANSWERED, Call
from .left_out import UNANSWERED, left_out
from .totals import Total

if TYPE_CHECKING:
    from .prices import Price

OF_TOOLS = ("tool", "rank")
"""Purposes of calls that tools make to models; `rank` is a search that lets a model rank what it found."""
DESCRIPTION = (
    "As the ReWOO paper (arXiv 2305.18323) counts: the prompt and completion tokens of planner, solver and the "
    "baselines' steps, of calls that succeeded, as if no answer had been reused. For what its LLM and calculator tools "
    "spend, the paper adds a quarter of their text's characters; the ledger keeps no text, so that is left out here."
)


def summed(calls: Sequence[Call], prices: Mapping[str, Price] | None) -> tuple[Total, tuple[str, ...]]:
    """The total of the paper, and what it leaves out."""
    answered = [call for call in calls if call.status in ANSWERED]
    failed = [call for call in calls if call.status not in ANSWERED]
    tools = [call for call in answered if call.purpose in OF_TOOLS]
    counted = [call for call in answered if call.purpose not in OF_TOOLS]
    return Total.of(counted, prices, virtual=True), left_out(
        ("calls that tools made to models", tools), (UNANSWERED, failed)
    )
