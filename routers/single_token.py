"""A decision by a single token: a model names one of several options by a letter, and its logprobs say how sure it is.

The idea is that of FIRST (Reddy et al. 2024, arXiv 2406.15657), which ranks by the logits of the first identifier, used
for any decision: the class of a question, the verdict of a judge. It costs one generated token for each order in which
the options are shown. A model that was not trained for it favours letters and places; showing the options in several
orders averages that out, and a calibration takes away what remains.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ..errors import NodeError
from ..orchestrator.one_token import ask_for_one_token, rotations
from ..orchestrator.verdict import IDENTIFIERS, Verdict, combined
from .calibration import Calibration, without_input

if TYPE_CHECKING:
    from ..orchestrator.context import Context

NOTHING = "N/A"
"""What a model is shown in place of a text, to see what it favours by itself."""


async def decide_by_token(
    ctx: Context,
    *,
    instruction: str,
    text: str,
    options: Mapping[str, str],
    model: str,
    purpose: str = "route",
    permutations: int = 1,
    content_free: bool = False,
    calibration: Calibration | None = None,
) -> Verdict:
    """How likely `model` holds each of the `options` (label -> what the model is told it means) to be right for `text`.

    `permutations`: in how many orders the options are shown, each a call of one token; as many as there are options put
    each of them in each place once, and more add nothing. `content_free`: ask as often again with no text, and divide
    by what the model says then. Raises NodeError for fewer than two options or more than there are letters, FlowError
    for a calibration of other options, and what a call raises.
    """
    labels = list(options)
    if not 2 <= len(labels) <= len(IDENTIFIERS):
        raise NodeError(f"a single token decides between 2 and {len(IDENTIFIERS)} options, not {len(labels)}")
    if calibration is not None:
        calibration.check(labels)
    orders = rotations(labels, permutations)
    texts = [text, NOTHING] if content_free else [text]
    readings = await ask_for_one_token(
        ctx,
        [prompt(instruction, order, options, shown) for shown in texts for order in orders],
        orders * len(texts),
        model=model,
        purpose=purpose,
    )
    verdict = combined(readings[: len(orders)], labels)
    probabilities = verdict.probabilities
    if content_free:
        probabilities = without_input(combined(readings[len(orders) :], labels)).apply(probabilities)
    if calibration is not None:
        probabilities = calibration.apply(probabilities)
    return Verdict(probabilities=probabilities, mass=verdict.mass, readings=verdict.readings)


def prompt(instruction: str, order: Sequence[str], options: Mapping[str, str], text: str) -> list[dict[str, str]]:
    """The options behind letters, and the text last: what is the same for every text can be cached."""
    lines = [f"{letter}: {options[label] or label}" for letter, label in zip(IDENTIFIERS, order, strict=False)]
    system = "\n".join([instruction, *lines, "Reply with one letter only."])
    return [{"role": "system", "content": system}, {"role": "user", "content": text}]
