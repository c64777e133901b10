"""Reward: what a conversation is worth, so that those about one item can be ranked.

As Optima has it (arXiv 2410.08115, and its code for the special cases):

    task score - lambda_tokens x tokens / most tokens of a conversation about the item + lambda_readability / worst loss

Optima counts the tokens of messages only, because they are what it trains a model to write. Here all tokens count
unless said otherwise: every turn sends what was said before again, and whoever pays, pays for that; a form that saves
words and needs a long instruction or one more turn saves nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from .conversations import Held
from .reader import repeats

Count = Literal["all", "messages"]

SILENCE = 40
"""A conversation whose messages have no more tokens than this counts as if it had cost the most (token score -1): what
is ranked by brevity would otherwise end in agents that say nothing and guess."""
RAMBLING = 2000
"""One whose messages have more tokens than this is unreadable (readability -1); so is one without messages."""
LEAST_LOSS = 1.0
"""A loss below this many nats a token counts as this much, so that readability is at most 1 and no text that a model
finds trivial outweighs a right answer. The loss of ordinary sentences is 2 to 5."""


class Weights(msgspec.Struct, frozen=True, kw_only=True):
    """What tokens and readability weigh against the task score, which is 0 to 1."""

    tokens: float = 0.6
    readability: float = 1.0
    """0 leaves readability out."""
    count: Count = "all"


def rewards(group: Sequence[Held], losses: Sequence[float | None], weights: Weights) -> list[float]:
    """The reward of each conversation about one item; `losses`: the worst loss of its messages, where it is known."""
    most = max((_tokens(held, weights.count) for held in group), default=0)
    return [
        held.partial
        + weights.tokens * token_score(held, most, weights.count)
        + (weights.readability * readability(held, loss) if weights.readability else 0.0)
        for held, loss in zip(group, losses, strict=True)
    ]


def token_score(held: Held, most: int, count: Count) -> float:
    """0 for no tokens, -1 for as many as the dearest conversation about the item, and for silence."""
    if held.message_tokens <= SILENCE:
        return -1.0
    return -_tokens(held, count) / most


def readability(held: Held, worst: float | None) -> float:
    """1 over the worst loss; 0 if an agent repeated itself, or no loss is known; -1 for no messages or far too many."""
    if not held.message_tokens or held.message_tokens > RAMBLING:
        return -1.0
    if worst is None or repeats(
        [(said.message.sender, said.message.text) for said in held.said if not said.message.verdict]
    ):
        return 0.0
    return 1.0 / max(worst, LEAST_LOSS)


def _tokens(held: Held, count: Count) -> int:
    return held.tokens if count == "all" else held.message_tokens
