"""Asking for one token: the same labels shown in one or several orders, each answered by the letter of a label.

The idea is that of FIRST (Reddy et al. 2024, arXiv 2406.15657): the logprobs of the first token say of all labels what
the whole answer would say of one. `verdict.py` reads them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..backends.request import Completion
from .verdict import IDENTIFIERS, LEAST, Reading, read

if TYPE_CHECKING:
    from ..backends.backend import ServerFacts
    from .context import Context, Prompt

ALTERNATIVES = 20
"""Alternatives that a server is taken to give if it does not tell; most give no more."""
STRAY = 4
"""Alternatives that are left for other tokens where a server cannot be held to letters."""


async def ask_for_one_token(
    ctx: Context,
    prompts: Sequence[Prompt],
    orders: Sequence[Sequence[str]],
    *,
    model: str,
    purpose: str,
    floor: float = LEAST,
) -> list[Reading]:
    """What `model` says to each prompt, which shows the labels in the order of the same place. `floor`: see `read`.

    The calls are made at once. Raises what a call raises, after all have ended.
    """
    facts = await ctx.facts(model)
    asked = [what_is_asked(facts, len(order)) for order in orders]
    answers = await asyncio.gather(
        *(
            ctx.complete(prompt, model=model, purpose=purpose, max_tokens=1, temperature=0.0, **how)
            for prompt, how in zip(prompts, asked, strict=True)
        ),
        return_exceptions=True,  # so that none is left behind in the air
    )
    held = can_be_held(facts)
    return [
        read(_completed(answer), order, restricted=held, floor=floor)
        for answer, order in zip(answers, orders, strict=True)
    ]


def what_is_asked(facts: ServerFacts, labels: int) -> dict[str, Any]:
    """What is asked of a server: logprobs if it gives any, and nothing but identifiers if it can be held to them."""
    most = most_alternatives(facts)
    wanted = max(ALTERNATIVES, 2 * labels)
    if most is not None:
        wanted = min(wanted, most)
    how: dict[str, Any] = {"logprobs": wanted} if wanted else {}
    if can_be_held(facts):
        how["extra"] = {"structured_outputs": {"choice": list(IDENTIFIERS[:labels])}}
    return how


def most_labels(facts: ServerFacts) -> int:
    """How many labels one token can tell apart, at most.

    A server that cannot be held to letters reports other tokens among them, and needs some alternatives more. One
    without logprobs names a single label, of however many.
    """
    most = most_alternatives(facts)
    if not most:
        return len(IDENTIFIERS)
    return min(len(IDENTIFIERS), max(2, most if can_be_held(facts) else most - STRAY))


def most_alternatives(facts: ServerFacts) -> int | None:
    """The most logprobs that a server gives for a token; None for any number, 0 for none."""
    if facts.server == "llama.cpp":
        return None
    if facts.most_logprobs is None:
        return ALTERNATIVES
    return facts.most_logprobs if facts.most_logprobs >= 0 else None


def can_be_held(facts: ServerFacts) -> bool:
    """Whether a server can be held to letters so that its logprobs are those of the letters alone.

    vLLM masks all other tokens for a choice before it computes logprobs, whatever its `--logprobs-mode` is; it does so
    for `allowed_token_ids` only after that.
    """
    return bool(facts.knows("structured_outputs"))


def rotations(labels: Sequence[str], number: int) -> list[tuple[str, ...]]:
    """At most `number` orders of the labels: cyclic shifts, the given order first, as far apart as they can be."""
    number = max(1, min(number, len(labels)))
    starts = [place * len(labels) // number for place in range(number)]
    return [(*labels[start:], *labels[:start]) for start in starts]


def _completed(answer: Completion | BaseException) -> Completion:
    if isinstance(answer, BaseException):
        raise answer
    return answer
