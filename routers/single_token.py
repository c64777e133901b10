"""A decision by a single token: a model names one of several options by a letter, and its logprobs say how sure it is.

The idea is that of FIRST (Reddy et al. 2024, arXiv 2406.15657), which ranks by the logits of the first identifier, used
for any decision: the class of a question, the verdict of a judge. It costs one generated token for each order in which
the options are shown. A model that was not trained for it favours letters and places; showing the options in several
orders averages that out, and a calibration takes away what remains.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..backends.request import Completion
from ..errors import NodeError
from .calibration import Calibration, without_input
from .verdict import IDENTIFIERS, Verdict, combined, read

if TYPE_CHECKING:
    from ..backends.backend import ServerFacts
    from ..orchestrator.context import Context

ALTERNATIVES = 20
"""Alternatives asked for: more than there are options, since other tokens take places; most servers give no more."""
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
    how = _how(await ctx.facts(model), len(labels))
    texts = [text, NOTHING] if content_free else [text]
    answers = await asyncio.gather(
        *(
            ctx.complete(
                prompt(instruction, order, options, shown),
                model=model,
                purpose=purpose,
                max_tokens=1,
                temperature=0.0,
                **how,
            )
            for shown in texts
            for order in orders
        ),
        return_exceptions=True,  # so that none is left behind in the air
    )
    restricted = "extra" in how
    readings = [
        read(_completed(answer), order, restricted=restricted)
        for answer, order in zip(answers, orders * len(texts), strict=True)
    ]
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


def rotations(labels: Sequence[str], number: int) -> list[tuple[str, ...]]:
    """At most `number` orders of the labels: cyclic shifts, the given order first, as far apart as they can be."""
    number = max(1, min(number, len(labels)))
    starts = [place * len(labels) // number for place in range(number)]
    return [(*labels[start:], *labels[:start]) for start in starts]


def _how(facts: ServerFacts, options: int) -> dict[str, Any]:
    """What is asked of a server: logprobs if it gives any, and nothing but identifiers if it can be held to them."""
    most = facts.most_logprobs if facts.most_logprobs is not None and facts.most_logprobs >= 0 else ALTERNATIVES
    how: dict[str, Any] = {"logprobs": min(ALTERNATIVES, most)} if most else {}
    if facts.knows("structured_outputs"):
        how["extra"] = {"structured_outputs": {"choice": list(IDENTIFIERS[:options])}}
    return how


def _completed(answer: Completion | BaseException) -> Completion:
    if isinstance(answer, BaseException):
        raise answer
    return answer
