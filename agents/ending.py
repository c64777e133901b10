"""Ending: why a conversation is over, and what it comes to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from ..errors import LaconicError
from ..orchestrator.agreement import same_answer
from ..orchestrator.shown import one_line
from .message import Message, said_by

Reason = Literal[
    "agreed",
    "decided",
    "unfit",
    "undecided",
    "turns",
    "tokens",
    "silent",
    "repeating",
    "unreadable",
    "budget",
    "failed",
    "solved",
    "steps",
]
"""`agreed`: all who were asked gave the same answer, or agreed to it. `decided`: the one who decides did. `unfit`: it
did, but something speaks against the decision that it could not mend. `undecided`: it gave no answer, although asked
again. `turns`, `tokens`: the team's own limits. `silent`, `repeating`, `unreadable`: each agent's last message was
empty, had been said before by whomever, or did not follow the protocol. `budget`: a wall of the flow. `failed`: a model
could not be asked. `solved`, `steps`: in a world, all is done, or its last step was taken."""


class Ended(Exception):
    """The conversation cannot go on. Raised and caught inside a team; never seen by a user."""

    def __init__(self, reason: Reason, error: LaconicError | None = None) -> None:
        super().__init__(reason)
        self.reason: Reason = reason
        self.error = error


def last_answers(messages: Sequence[Message], names: Sequence[str]) -> dict[str, str]:
    """What each agent answered last, in the order in which they did; those that gave no answer are not in it."""
    latest = [next((m for m in reversed(said_by(messages, name)) if m.answer), None) for name in names]
    there = sorted((message for message in latest if message is not None), key=lambda message: message.number)
    return {message.sender: message.answer or "" for message in there}


def agreed(messages: Sequence[Message], names: Sequence[str]) -> str | None:
    """The answer that all of them gave in their last message; None if they do not all give the same."""
    newest = [said_by(messages, name)[-1:] for name in names]
    answers = [message.answer for last in newest for message in last]
    if len(answers) < len(names) or any(answer is None for answer in answers):
        return None
    last = max((message for last in newest for message in last), key=lambda message: message.number).answer or ""
    return last if all(same_answer(answer or "", last) for answer in answers) else None


def majority(answers: Sequence[str]) -> str | None:
    """The answer that most gave, the latest of equals; None if nobody answered."""
    best: tuple[int, str] | None = None
    for answer in answers:
        count = sum(same_answer(answer, other) for other in answers)
        if best is None or count >= best[0]:
            best = count, answer
    return best[1] if best else None


def nothing_new(messages: Sequence[Message], names: Sequence[str]) -> Reason | None:
    """Why it is of no use to go on: nobody's last message says anything that had not been said before.

    None as long as somebody has not spoken, and where all gave the same answer: then there is nothing left to say.
    """
    newest = [said_by(messages, name) for name in names]
    if not all(newest) or agreed(messages, names) is not None:
        return None
    last = [said[-1] for said in newest]
    if not any(message.text.strip() for message in last):
        return "silent"
    if not any(message.understood for message in last):
        return "unreadable"
    return "repeating" if all(_said_before(message, messages) for message in last) else None


def _said_before(message: Message, messages: Sequence[Message]) -> bool:
    """Whether an earlier message, whoever sent it, has the same text; that of another agent is often given back."""
    said = one_line(message.text)
    earlier = (other for other in messages if other.number < message.number)
    return any(said in (one_line(other.text), f"{other.sender}: {one_line(other.text)}") for other in earlier)


def given_back(text: str, messages: Sequence[Message], step: int) -> str | None:
    """`text` if it is nothing but an answer that was given before in this step, whatever the form: that is agreeing."""
    answers = [message.answer for message in messages if message.answer and message.step == step]
    return one_line(text) if any(same_answer(text, answer) for answer in answers) else None
