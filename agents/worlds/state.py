"""State: a world at one moment. What there is, who can do what, what a plan breaks, and what comes of it."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Self

from .plan import WAIT, Plan, read_plan, write_plan

HEADER = re.compile(r"^State of ([\w-]+), step (\d+) of (\d+)\.$", re.MULTILINE)
"""The first line of a state, in a brief: the kind of the world, the step, the last step."""


@dataclass(frozen=True, kw_only=True)
class State(ABC):
    """Immutable, and nothing in it is drawn by lot: the same plans lead to the same end."""

    kind: ClassVar[str]
    rules: ClassVar[str]
    """What everybody is told of the world, the same in every step."""

    step: int = 1
    """The step that is to be decided."""
    limit: int = 0
    """The last step; 0 before it is known."""

    @property
    @abstractmethod
    def agents(self) -> int:
        """How many robots there are."""

    @property
    @abstractmethod
    def score(self) -> float:
        """The part of the work that is done, from 0 to 1."""

    @abstractmethod
    def lines(self) -> list[str]:
        """The state in words, as short as they can be; `parsed` reads them."""

    @classmethod
    @abstractmethod
    def parsed(cls, text: str) -> Self:
        """The state whose `lines` are somewhere in `text`, at step 1. Raises ValueError."""

    @abstractmethod
    def options(self, name: str) -> list[str]:
        """What the robot can do now, waiting left out."""

    @abstractmethod
    def obstacle(self, name: str, action: str) -> str:
        """Why the robot cannot do what is not among its options; empty if it is no action at all."""

    @abstractmethod
    def clashes(self, actions: Mapping[str, str]) -> list[str]:
        """What breaks a rule only together, of actions that are possible one by one."""

    @abstractmethod
    def done(self, actions: Mapping[str, str]) -> tuple[Self, list[str]]:
        """The state after actions that break no rule, done at once; and what was seen that they do not say."""

    @abstractmethod
    def progress(self) -> str:
        """How much of the work is done, in words."""

    @abstractmethod
    def policy(self) -> str:
        """A plan that leads on. Followed in every step, it solves every instance within the limit."""

    @property
    def names(self) -> tuple[str, ...]:
        """The robots."""
        return tuple(f"robot{number}" for number in range(1, self.agents + 1))

    @property
    def solved(self) -> bool:
        """Whether all the work is done."""
        return self.score == 1.0

    def brief(self) -> str:
        """What everybody is told: the rules, then the state. `read_state` reads it back."""
        return "\n".join([self.rules, f"State of {self.kind}, step {self.step} of {self.limit}.", *self.lines()])

    def view(self, name: str) -> str:
        """What the robot can do now."""
        return f"{name} can: {', '.join([*self.options(name), WAIT])}."

    def read(self, decision: str) -> Plan:
        """A plan from its one line."""
        return read_plan(decision, self.names)

    def write(self, actions: Mapping[str, str]) -> str:
        """The one line of a plan."""
        return write_plan(actions, self.names)

    def complaint(self, decision: str) -> str:
        """Every rule that a plan breaks, in words that whoever planned it can use; empty if it can be done."""
        plan = self.read(decision)
        possible = {name: action for name, action in plan.actions.items() if action in self.options(name)}
        refused = [self._refusal(name, plan.actions[name]) for name in plan.actions if name not in possible]
        return "; ".join([*plan.unread, *refused, *self.clashes(possible)])

    def after(self, decision: str) -> tuple[Self, str]:
        """The next state, and what came of the plan in one line. A plan that breaks a rule wastes the step."""
        why = self.complaint(decision)
        if why:
            wasted = replace(self, step=self.step + 1)
            return wasted, f"step {self.step} was wasted, all waited, since {why}. {self.progress()}"
        actions = self.read(decision).actions
        state, seen = self.done(actions)
        told = "".join(f"{remark}. " for remark in [self.write(actions), *seen])
        return replace(state, step=self.step + 1), f"step {self.step}: {told}{state.progress()}"

    def _refusal(self, name: str, action: str) -> str:
        why = self.obstacle(name, action)
        return (
            f"{name} cannot {action[:40]!r}{f', since {why}' if why else ''} (it can: {', '.join(self.options(name))})"
        )
