"""What a conversation is worth."""

from __future__ import annotations

from typing import Any

import pytest

from laconic.agents import Message
from laconic.evals.protocols.conversations import Held, Said
from laconic.evals.protocols.reward import Weights, rewards

READ = Weights(tokens=0.6, readability=1.0)
UNREAD = Weights(tokens=0.6, readability=0.0)


def held(*said: tuple[str, str, int], tokens: int, right: float = 1.0, **more: Any) -> Held:
    messages = [
        Said(Message(number=n, sender=sender, to=("x",), text=text, tokens=spent))
        for n, (sender, text, spent) in enumerate(said, 1)
    ]
    sent = sum(spent for _, _, spent in said)
    told = {"message_tokens": sent, "said": tuple(messages), **more}
    return Held(arm="a", item="1", number=1, partial=right, exact=right, tokens=tokens, **told)


LONG = held(("ann", "one", 50), ("ben", "two", 50), tokens=1000)
SHORT = held(("ann", "one", 30), ("ben", "two", 20), tokens=500)


def test_tokens_are_weighed_against_the_dearest_conversation_about_the_item() -> None:
    assert rewards([LONG, SHORT], [None, None], UNREAD) == pytest.approx([1 - 0.6, 1 - 0.6 * 0.5])
    counted = Weights(tokens=1.0, readability=0.0, count="messages")
    assert rewards([LONG, SHORT], [None, None], counted) == pytest.approx([0.0, 1 - 50 / 100])


def test_the_worst_loss_makes_it_less_readable_and_is_never_worth_more_than_an_answer() -> None:
    near, far = rewards([LONG, LONG], [2.0, 4.0], READ)
    assert near - far == pytest.approx(1 / 2 - 1 / 4)
    assert rewards([LONG], [0.01], READ) == pytest.approx([1 - 0.6 + 1.0])


def test_silence_counts_as_the_dearest() -> None:
    silent = held(("ann", "x", 20), ("ben", "x", 20), tokens=100)
    enough = held(("ann", "x", 21), ("ben", "x", 20), tokens=100)
    first, second, _ = rewards([silent, enough, LONG], [None, None, None], UNREAD)
    assert (first, second) == pytest.approx((1 - 0.6, 1 - 0.6 * 0.1))


def test_repeating_oneself_is_not_readable_but_agreeing_is() -> None:
    again = held(("ann", "one", 50), ("ben", "two", 50), ("ann", " one", 50), tokens=1000)
    agree = held(("ann", "one", 50), ("ben", "one", 50), tokens=1000)
    assert rewards([again], [2.0], READ) == pytest.approx([0.4])
    assert rewards([agree], [2.0], READ) == pytest.approx([0.4 + 0.5])


def test_rambling_and_nothing_at_all_are_unreadable() -> None:
    rambling = held(("ann", "one", 2001), tokens=2001)
    nothing = held(tokens=10, right=0.0, status="failed")
    assert rewards([rambling], [2.0], READ) == pytest.approx([0.4 - 1])
    assert rewards([nothing], [None], READ) == pytest.approx([0 - 0.6 - 1])
