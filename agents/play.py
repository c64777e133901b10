"""Play: a team acts in a world, step by step, until the work is done or there is no going on."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Self

from ..errors import BudgetExceeded, NodeError
from .bill import Bill
from .conversation import Conversation
from .ending import Ended, Reason
from .matter import Matter
from .message import Message
from .spoken import Spoken
from .worlds.state import State

WORLD = "world"
"""Who says what came of a step."""

Decide = Callable[[Conversation], Awaitable[tuple[str, Reason]]]
"""How a topology comes to a plan."""


SoFar = Callable[[Conversation], str | None]
"""The plan of a step whose talk was cut off; None if there is none."""


class Played(Spoken):
    """How it went in a world: `solved in 7 steps`. `{{ team.score }}` is the part of the work that was done."""

    score: float
    """From 0 to 1."""
    steps: int
    """Steps that were taken, wasted ones included."""
    solved: bool

    @classmethod
    def of(cls, state: State, messages: Sequence[Message], ended: Reason, bill: Bill) -> Self:
        """What came of it, in the state in which it ended."""
        steps = state.step - 1
        how = f"solved in {steps} steps" if state.solved else f"not solved in {steps} steps: {state.progress()}"
        played = cls(how, messages, ended, bill)
        played.score, played.steps, played.solved = state.score, steps, state.solved
        return played


class WorldMatter(Matter):
    """One step in a world, which needs a plan."""

    def __init__(self, state: State, task: str = "") -> None:
        super().__init__("\n".join(filter(None, (task, state.brief()))))
        self.state = state
        first, second = state.names[:2]
        self.answered = (
            f"The answer is the plan for step {state.step} in one line, {first}: ACTION; {second}: ACTION, where each "
            "robot does one thing that it can do; who is not named waits."
        )

    def view(self, name: str) -> str:
        """What the robot can do now; nothing for who is no robot."""
        return self.state.view(name) if name in self.state.names else ""

    def complaint(self, decision: str) -> str:
        """Every rule that a plan breaks."""
        return self.state.complaint(decision)

    def involved(self, decision: str, names: Sequence[str]) -> tuple[str, ...]:
        """The robots that do not wait."""
        acting = self.state.read(decision).actions
        return tuple(name for name in names if name in acting)


async def play(
    talk: Conversation, state: State, decide: Decide, so_far: SoFar, *, task: str = ""
) -> tuple[State, Reason]:
    """Let a team decide step after step, from `state` on; each step's outcome is a message that all are shown.

    Gives the state in which it ended, and why it ended.

    Raises what ended it, if that was a wall or a failure before any step.
    """
    reason: Reason = "steps"
    while not state.solved and state.step <= state.limit:
        talk.matter, talk.step = WorldMatter(state, task), state.step
        try:
            decision, _ = await decide(talk)
        except Ended as ended:
            plan = so_far(talk) if ended.error is None else None  # without an error the robots may still act
            if plan is None:
                _given_up(talk, ended, state)
                reason = ended.reason
                break
            decision = plan
        state, outcome = state.after(decision)
        _told(talk, outcome)
    return state, "solved" if state.solved else reason


def _given_up(talk: Conversation, ended: Ended, state: State) -> None:
    """Note why it did not go on; raise that if nothing was done."""
    if isinstance(ended.error, BudgetExceeded):
        if state.step == 1:
            raise ended.error
        talk.ctx.cut_short(ended.error)
    elif ended.error is not None:
        if state.step == 1:
            raise NodeError(f"no step was taken in the world, since {ended.error}") from ended.error
        talk.ctx.note(f"ended by a failure: {ended.error}")
    else:
        talk.ctx.note(f"no plan in step {state.step}: {ended.reason}")


def _told(talk: Conversation, outcome: str) -> None:
    """Enter what came of a step; no model said it, so it has no tokens."""
    talk.messages.append(
        Message(
            number=talk.numbered(),
            sender=WORLD,
            to=tuple(talk.names),
            act="step",
            text=outcome,
            step=talk.step,
            tokens=0,
            at=time.time(),
        )
    )
