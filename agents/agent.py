"""Agent: who takes part in a conversation, as a flow's author writes it; and the seat it takes in one run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from ..errors import NodeError
from ..orchestrator import Context, ModelRole, Template, TemplateTree, ToolName
from ..orchestrator.part import Part
from ..orchestrator.template import as_text


class Agent(Part):
    """One that speaks: its name, its model, and what only it knows."""

    name: str = Field(
        pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,31}$",
        description="What it is called in messages and in the bill: letters, digits, - and _.",
    )
    model: ModelRole = Field(default="large", description="The role that speaks for it.")
    context: TemplateTree = Field(
        default="", description="What only it knows: a text, or a list of texts. No other agent is shown it."
    )
    instructions: Template = Field(default="", description="What it is told to do, beyond what its topology says.")
    tools: list[ToolName] = Field(default=[], description="The flow's tools that it may call before it speaks.")


@dataclass(frozen=True)
class Seat:
    """An agent in one run: its templates rendered."""

    name: str
    model: str
    context: tuple[str, ...] = ()
    """The texts that only it knows."""
    instructions: str = ""
    tools: tuple[str, ...] = ()


def seated(ctx: Context, agent: Agent) -> Seat:
    """The agent with what it knows filled in."""
    return Seat(
        agent.name,
        agent.model,
        tuple(_texts(ctx.render(agent.context), agent.name)),
        ctx.text(agent.instructions).strip(),
        tuple(agent.tools),
    )


def _texts(value: Any, name: str) -> Sequence[str]:
    if value is None or isinstance(value, str):
        return [value.strip()] if value and value.strip() else []
    if isinstance(value, Sequence):
        return [text for text in (as_text(one).strip() for one in value) if text]
    raise NodeError(f"the context of {name} must be a text or a list of texts, not {type(value).__name__}")
